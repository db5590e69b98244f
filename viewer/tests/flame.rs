//! The slices that flamegraphs are drawn from: their numbers are those of the pages and of the reports, and add up.

mod site;

use axum::http::StatusCode;
use diag_analysis::pprof::{CpuFacts, CpuSample};
use diag_snapshot::{ParkedRow, Snapshot, StackIndex, TaskId};
use diag_test_support::crowd::crowd;
use diag_test_support::scenario::{Block, Churn, Ghosts, Service, in_order};
use serde_json::{Value, json};
use site::{Folder, Viewer};

/// Ghosts among tasks that end, a cache that only grows, a buffer that is given up, and one that is new.
fn service() -> Service {
    let tasks = in_order(
        [
            Churn { until: 60.0, ..Churn::default() }.tasks(),
            Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks(),
        ]
        .concat(),
    );
    let block = |i: u32, function, born: f64, freed| Block {
        function,
        size_bytes: 256 << 10,
        born,
        freed,
        task: (!i.is_multiple_of(3)).then_some(i as usize % tasks.len()),
    };
    let mut blocks: Vec<Block> =
        (0..750).map(|i| block(i, "svc::cache::put", f64::from(i) * 0.04, None)).collect();
    blocks.extend((0..60).map(|i| block(i, "svc::old::keep", 1.0, Some(20.0))));
    blocks.extend((0..90).map(|i| block(i, "svc::fresh::take", 25.0, None)));
    blocks.sort_by(|a, b| a.born.total_cmp(&b.born));
    Service { blocks, ..Service::new(tasks) }
}

struct Scene {
    viewer: Viewer,
    a: String,
    b: String,
    _folder: Folder,
}

impl Scene {
    fn new(test: &str) -> Self {
        let folder = Folder::new(&format!("flame-{test}"));
        let service = service();
        let (a, b) = (folder.write("a.diag", &service.at(15.0)), folder.write("b.diag", &service.at(30.0)));
        Scene { viewer: folder.viewer(), a, b, _folder: folder }
    }

    fn path(&self, path: &str) -> String {
        path.replace("{a}", &self.a).replace("{b}", &self.b)
    }

    async fn json(&self, path: &str) -> Value {
        self.viewer.json(&self.path(path)).await
    }

    async fn check_refused(&self, path: &str, status: StatusCode, says: &str) {
        let answer = self.viewer.get(&self.path(path)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.body.contains(says), "{path} does not say {says:?}: {}", answer.body);
    }
}

fn column(slice: &Value, name: &str) -> Vec<i64> {
    let column = slice["nodes"][name].as_array().expect("a column");
    column.iter().map(|number| number.as_i64().expect("a number")).collect()
}

/// The name of a frame's function.
fn name(slice: &Value, i: usize) -> &str {
    let function = slice["nodes"]["function"][i].as_u64().expect("a place") as usize;
    let string = slice["functions"]["name"][function].as_u64().expect("a place") as usize;
    slice["strings"][string].as_str().expect("a name")
}

/// Place of the frame of a function.
fn place(slice: &Value, function: &str) -> usize {
    let frames = slice["nodes"]["function"].as_array().expect("a column").len();
    (0..frames).find(|&i| name(slice, i) == function).expect(function)
}

/// Each frame has what it has itself and what hangs at it, to the rounding of each.
fn check_adds_up(slice: &Value, total: &str, own: &str) {
    let (parent, total, own) = (column(slice, "parent"), column(slice, total), column(slice, own));
    let mut sums = own;
    for i in (1..total.len()).rev() {
        assert!(parent[i] < i as i64, "a frame stands before the one that it hangs at");
        sums[parent[i] as usize] += total[i];
    }
    for (i, (sum, total)) in sums.iter().zip(&total).enumerate() {
        assert!((sum - total).abs() <= 4, "{}: {sum} is not {total}", name(slice, i));
    }
}

#[tokio::test]
async fn a_slice_has_the_numbers_of_its_page() {
    let scene = Scene::new("numbers");
    let page = scene.json("/api/v1/s/{b}/heap").await;
    let slice = scene.json("/s/{b}/flame.json").await;
    let live = &page["heap"]["live"];
    for (ours, theirs) in [("total", "estimate_bytes"), ("low", "low_bytes"), ("high", "high_bytes")] {
        assert_eq!(slice["nodes"][ours][0], live[theirs], "{ours}");
    }
    assert_eq!(slice["nodes"]["samples"][0], page["heap"]["samples"]);
    assert_eq!((&slice["left_out_frames"], &slice["unit"]), (&json!(0), &json!("bytes")));
    let functions = page["heap"]["functions"].as_array().expect("functions");
    let living: Vec<&Value> = functions.iter().filter(|function| function["samples"] != json!(0)).collect();
    assert!(living.len() > 1 && living.len() < functions.len(), "one has freed all");
    for function in living {
        let i = place(&slice, function["name"].as_str().expect("a name"));
        let live = &function["live"];
        let limits = ["total", "low", "high"].map(|column| &slice["nodes"][column][i]);
        assert_eq!(limits, ["estimate_bytes", "low_bytes", "high_bytes"].map(|field| &live[field]));
        assert_eq!(slice["nodes"]["samples"][i], function["samples"]);
    }
    for callee in page["heap"]["callees"].as_array().expect("callees") {
        let i = place(&slice, callee["name"].as_str().expect("a name"));
        assert_eq!(slice["nodes"]["node"][i], callee["index"]);
        let whole = |number: &Value| number.as_f64().expect("a number").round();
        assert_eq!(whole(&slice["nodes"]["total"][i]), whole(&callee["total_bytes"]));
        assert_eq!(whole(&slice["nodes"]["self"][i]), whole(&callee["self_bytes"]));
    }
    for value in ["live_bytes", "live_blocks", "allocated_bytes", "allocated_blocks"] {
        for frames in ["own", "all"] {
            let slice = scene.json(&format!("/s/{{b}}/flame.json?value={value}&frames={frames}")).await;
            check_adds_up(&slice, "total", "self");
            assert_eq!(slice["nodes"]["low"].is_null(), value.starts_with("allocated"), "{value}");
        }
    }
}

#[tokio::test]
async fn what_tasks_allocated_divides_the_heap() {
    let scene = Scene::new("tasks");
    let page = scene.json("/api/v1/s/{b}/heap").await;
    let total = async |query: &str| {
        let slice = scene.json(&format!("/s/{{b}}/flame.json?{query}")).await;
        check_adds_up(&slice, "total", "self");
        column(&slice, "total")[0]
    };
    let estimate = |field: &str| page["heap"][field]["estimate_bytes"].as_i64().expect("bytes");
    assert_eq!(total("task=ended").await, estimate("of_ended_tasks"));
    assert_eq!(total("task=none").await, estimate("of_no_task"));
    let parts = total("task=ended").await + total("task=none").await + total("task=live").await;
    assert!((parts - total("").await).abs() <= 2 && total("task=live").await > 0);
    assert_eq!(total("site=&task=&q=&await=&function=").await, total("").await, "a form sends what is empty");
    let mut sum = 0;
    for site in page["heap"]["task_sites"].as_array().expect("sites") {
        sum += site["of_live_tasks"]["estimate_bytes"].as_i64().expect("bytes");
        sum += site["of_ended_tasks"]["estimate_bytes"].as_i64().expect("bytes");
    }
    let sites = page["heap"]["task_sites"].as_array().expect("sites").len();
    let mut seen = 0;
    for site in 0..sites {
        seen += total(&format!("site={site}")).await;
    }
    assert!((seen - sum).abs() <= 8, "{seen} is not {sum}");
    // Where the page of a site leads.
    let site = scene.json("/api/v1/s/{b}/site/0").await;
    let page = scene.viewer.page(&scene.path("/s/{b}/site/0")).await;
    for (task, field) in [("live", "held"), ("ended", "held_by_ended")] {
        let query = format!("site=0&task={task}");
        assert!(
            page.contains(&scene.path(&format!("/s/{{b}}/heap?{}\"", query.replace('&', "&amp;")))),
            "{page}"
        );
        assert_eq!(json!(total(&query).await), site["site"][field]["estimate_bytes"], "{site}");
    }
}

#[tokio::test]
async fn blocks_are_told_by_their_age() {
    let scene = Scene::new("age");
    // At 30 s: those of `svc::old::keep` are gone, those of `svc::cache::put` were made evenly.
    let total = async |query: &str| {
        let slice = scene.json(&format!("/s/{{b}}/flame.json?{query}")).await;
        check_adds_up(&slice, "total", "self");
        column(&slice, "total")[0]
    };
    let samples = async |query: &str| {
        scene.json(&format!("/s/{{b}}/flame.json?{query}")).await["nodes"]["samples"][0].clone()
    };
    let snapshot = service().at(30.0);
    let heap = snapshot.heap.as_ref().expect("a heap");
    let old = |seconds: f64| {
        let age = |born_us: u64| (snapshot.capture.to_us - born_us) as f64 / 1e6;
        heap.samples.iter().filter(|sample| age(sample.born_us) >= seconds).count()
    };
    for (query, seconds) in [("age=0s", 0.0), ("age=5s", 5.0), ("age=20s", 20.0), ("age=1min", 60.0)] {
        assert_eq!(samples(query).await, json!(old(seconds)), "{query}");
    }
    assert!(old(20.0) > 0 && old(20.0) < old(5.0) && old(5.0) < old(0.0));
    assert_eq!(total("age=0ms").await, total("").await);
    assert_eq!(samples("age=20s").await, samples("age=20000ms").await);
    // Together with another filter, on page, slice and picture.
    let parts = ["live", "ended", "none"].map(|task| format!("age=5s&task={task}"));
    let mut sum = 0;
    for part in &parts {
        sum += total(part).await;
    }
    assert!((sum - total("age=5s").await).abs() <= 2);
    let callees = scene.json("/api/v1/s/{b}/heap?age=5s&task=ended").await["heap"]["callees"].clone();
    let of_page: f64 = callees
        .as_array()
        .expect("callees")
        .iter()
        .map(|one| one["total_bytes"].as_f64().expect("bytes"))
        .sum();
    assert!((of_page - total("age=5s&task=ended").await as f64).abs() <= 2.0);
    let page = scene.viewer.page(&scene.path("/s/{b}/heap?age=90s")).await;
    assert!(page.contains("<option value=\"90s\" selected>90s or older</option>"), "{page}");
    assert!(page.contains("There are no live bytes of this kind in this snapshot"), "{page}");
    let svg = scene.viewer.page(&scene.path("/s/{b}/heap.svg?age=20s")).await;
    assert!(
        svg.contains("svc::cache::put") && !svg.contains("svc::fresh::take"),
        "a picture of the old ones"
    );
    assert!(scene.viewer.page(&scene.path("/s/{b}/heap.svg")).await.contains("svc::fresh::take"));
}

#[tokio::test]
async fn blocks_are_told_by_what_they_are_part_of() {
    let scene = Scene::new("kind");
    let page = scene.json("/api/v1/s/{b}/heap").await;
    let kinds = page["heap"]["kinds"].as_array().expect("kinds");
    let html = scene.viewer.page(&scene.path("/s/{b}/heap")).await;
    for kind in kinds {
        let word = kind["kind"].as_str().expect("a word");
        let slice = scene.json(&format!("/s/{{b}}/flame.json?kind={word}")).await;
        check_adds_up(&slice, "total", "self");
        let of_slice = ["total", "low", "high"].map(|column| &slice["nodes"][column][0]);
        let of_page = ["estimate_bytes", "low_bytes", "high_bytes"].map(|field| &kind["live"][field]);
        assert_eq!(of_slice, of_page, "{word}");
        assert!(html.contains(&scene.path(&format!("href=\"/s/{{b}}/heap?kind={word}\""))), "{word}: {html}");
    }
    let other = if kinds[0]["kind"] == json!("Box") { "Arc" } else { "Box" };
    let total = async |path: &str, name: &str| column(&scene.json(path).await, name)[0];
    assert_eq!(total(&format!("/s/{{b}}/flame.json?kind={other}"), "total").await, 0, "none is a {other}");
    let word = kinds[0]["kind"].as_str().expect("a word");
    // What was allocated since start is known by kind, and a pair is compared by it.
    let allocated = total(&format!("/s/{{b}}/flame.json?value=allocated_bytes&kind={word}"), "total").await;
    assert!(allocated > 0);
    assert_eq!(total(&format!("/s/{{b}}/flame.json?value=allocated_bytes&kind={other}"), "total").await, 0);
    let pair = total(&format!("/d/{{a}}..{{b}}/flame.json?kind={word}"), "growth").await;
    assert_eq!(pair, total("/d/{a}..{b}/flame.json", "growth").await, "all are {word}");
    assert_eq!(total(&format!("/d/{{a}}..{{b}}/flame.json?kind={other}"), "growth").await, 0);
}

#[tokio::test]
async fn what_parked_tasks_allocated_can_be_told() {
    let folder = Folder::new("flame-await");
    let mut snapshot: Snapshot = crowd(10, 1, 8);
    snapshot.parked.push(ParkedRow { task: TaskId(1), stack: StackIndex(1) });
    // The other idle tasks are known to wait elsewhere, so that nothing is said of them.
    snapshot.parked.push(ParkedRow { task: TaskId(2), stack: StackIndex(6) });
    let id = folder.write("a.diag", &snapshot);
    let viewer = folder.viewer();
    let page = viewer.page(&format!("/s/{id}/heap")).await;
    let options = page.split("name=\"await\"").nth(1).expect("a choice of await points");
    let options: Vec<&str> =
        options.split("</select>").next().expect("its end").split("<option value=\"").collect();
    assert_eq!(options.len(), 4, "any, and two: {options:?}");
    let whole = viewer.json(&format!("/s/{id}/flame.json")).await["nodes"]["samples"][0].as_u64();
    assert_eq!(whole, Some(8));
    for option in &options[2..] {
        let text = option.split('"').next().expect("a value").replace(' ', "%20").replace("&#38;", "%26");
        let slice = viewer.json(&format!("/s/{id}/flame.json?await={text}")).await;
        assert_eq!(slice["nodes"]["samples"][0], json!(1), "{text}: one block of one task");
    }
}

#[tokio::test]
async fn growth_is_that_of_the_report() {
    let scene = Scene::new("growth");
    let report = scene.json("/api/v1/d/{a}..{b}").await;
    let total = &report["heap"]["total"];
    for mode in ["change", "after", "both"] {
        let slice = scene.json(&format!("/d/{{a}}..{{b}}/flame.json?mode={mode}")).await;
        let growth = ["growth", "low", "high"].map(|column| &slice["nodes"][column][0]);
        assert_eq!(
            growth,
            ["estimate_bytes", "low_bytes", "high_bytes"].map(|field| &total["growth"][field])
        );
        let rest =
            ["before", "after", "new_samples", "gone_samples"].map(|column| &slice["nodes"][column][0]);
        let fields =
            ["before_bytes", "after_bytes", "new_samples", "gone_samples"].map(|field| &total[field]);
        assert_eq!(rest, fields);
        check_adds_up(&slice, "before", "self_before");
        check_adds_up(&slice, "after", "self_after");
        // Callees never reach beyond their caller.
        let (parent, width) = (column(&slice, "parent"), column(&slice, "width"));
        let mut sums = vec![0; width.len()];
        (1..width.len()).for_each(|i| sums[parent[i] as usize] += width[i]);
        assert!(sums.iter().zip(&width).all(|(sum, width)| sum <= &(width + 4)), "{mode}");
        // What is gone has a width, what is new too.
        for function in ["svc::old::keep", "svc::fresh::take"] {
            assert!(width[place(&slice, function)] > 10 << 20, "{mode}: {function}");
        }
    }
    let slice = scene.json("/d/{a}..{b}/flame.json").await;
    for site in report["heap"]["sites"].as_array().expect("sites") {
        let i = place(&slice, site["name"].as_str().expect("a name"));
        let growth = ["growth", "low", "high"].map(|column| &slice["nodes"][column][i]);
        let fields = ["estimate_bytes", "low_bytes", "high_bytes"].map(|field| &site["growth"][field]);
        assert_eq!(growth, fields, "{}", site["name"]);
    }
    let swapped = scene.json("/d/{b}..{a}/flame.json").await;
    let negated =
        |slice: &Value| (-column(slice, "growth")[0], -column(slice, "high")[0], -column(slice, "low")[0]);
    let plain =
        |slice: &Value| (column(slice, "growth")[0], column(slice, "low")[0], column(slice, "high")[0]);
    assert_eq!(plain(&swapped), negated(&slice));
    let page = scene.json("/api/v1/d/{a}..{b}/heap").await;
    assert_eq!(&page["growth"], &total["growth"]);
    assert_eq!(
        (&page["new"][0]["name"], &page["gone"][0]["name"]),
        (&json!("fresh::take"), &json!("old::keep"))
    );
    let of_site = scene.json("/d/{a}..{b}/flame.json?site=0").await;
    assert!(column(&of_site, "after")[0] < column(&slice, "after")[0]);
}

#[tokio::test]
async fn two_processes_are_compared_without_lines() {
    let folder = Folder::new("flame-processes");
    let service = service();
    let other = Service { instance: 2, ..service.clone() };
    let (a, b) = (folder.write("a.diag", &service.at(15.0)), folder.write("b.diag", &other.at(30.0)));
    let viewer = folder.viewer();
    let report = viewer.json(&format!("/api/v1/d/{a}..{b}")).await;
    let slice = viewer.json(&format!("/d/{a}..{b}/flame.json")).await;
    assert_eq!(slice["same_process"], json!(false));
    assert_eq!(slice["nodes"]["growth"][0], report["heap"]["total"]["growth"]["estimate_bytes"]);
    assert_eq!(slice["nodes"]["high"][0], report["heap"]["total"]["growth"]["high_bytes"]);
}

#[tokio::test]
async fn a_slice_is_inverted_zoomed_and_searched() {
    let scene = Scene::new("views");
    let slice = scene.json("/s/{b}/flame.json?frames=all").await;
    let total = column(&slice, "total");
    let inverted = scene.json("/s/{b}/flame.json?frames=all&invert=true").await;
    assert_eq!(column(&inverted, "total")[0], total[0]);
    assert_eq!(name(&inverted, 1), "diag::heap::alloc", "all is allocated there");
    let put = place(&slice, "svc::cache::put");
    let number = |slice: &Value, i: usize| {
        slice["functions"]["id"][slice["nodes"]["function"][i].as_u64().expect("a place") as usize].clone()
    };
    // From the innermost on.
    let steps: Vec<String> = (1..4).map(|i| number(&inverted, i).to_string()).collect();
    let path = steps.join(".");
    let zoomed = scene.json(&format!("/s/{{b}}/flame.json?frames=all&invert=true&root={path}")).await;
    assert_eq!((zoomed["root"].as_str(), name(&zoomed, 0)), (Some(path.as_str()), name(&inverted, 3)));
    assert_eq!(zoomed["above"].as_array().map(Vec::len), Some(3));
    let function = number(&slice, put);
    let around = scene.json(&format!("/s/{{b}}/flame.json?frames=all&function={function}")).await;
    assert_eq!((name(&around, 0), column(&around, "total")[0]), ("svc::cache::put", total[put]));
    assert_eq!(around["callers"]["total"][0], json!(total[put]));
    let root = &slice["nodes"]["node"][put];
    let zoomed = scene.json(&format!("/s/{{b}}/flame.json?frames=all&root={root}&nodes=1")).await;
    assert_eq!((column(&zoomed, "total"), &zoomed["nodes"]["omitted"]), (vec![total[put]], &json!([1])));
    // Grow is called by each function, and counts once although its callee matches, too.
    let found = scene.json("/s/{b}/flame.json?frames=all&q=%3A%3AGROW").await["search"].clone();
    assert_eq!((&found["frames"], &found["share_percent"]), (&json!(2), &json!(100.0)));
    let pattern = scene.json("/s/{b}/flame.json?frames=all&q=%2F%3A%3Agrow%28_one%29%3F%24%2F").await;
    let plain = scene.json("/s/{b}/flame.json?frames=all&q=%3A%3AGROW").await;
    assert_eq!((&pattern["search"], &pattern["nodes"]), (&plain["search"], &plain["nodes"]));
    assert_eq!(pattern["search"]["functions"].as_array().map(Vec::len), Some(1), "{}", pattern["search"]);
    let nothing = scene.json("/s/{b}/flame.json?q=nothing").await["search"].clone();
    assert_eq!((&nothing["frames"], &nothing["words"]), (&json!(0), &json!("0 B")));
}

/// A CPU profile is a picture when it is imported.
#[tokio::test]
async fn an_imported_cpu_profile_is_drawn() {
    let (folder, of) = (Folder::new("flame-cpu"), diag_test_support::iothub::service(24, 24));
    let sample =
        |stack: u32| CpuSample { stack: StackIndex(stack), task_site: None, samples: u64::from(stack) + 1 };
    let samples: Vec<CpuSample> = (0..3).map(sample).collect();
    let facts = CpuFacts { taken_unix_us: 9, for_us: 1_000_000, period_ns: 10_000_000, cpu_ns: 60_000_000 };
    let file = diag_analysis::pprof::cpu(&of.stacks, &of.strings, &samples, facts);
    let format = diag_analysis::import::recognized(&file).expect("a profile");
    let id = folder.write("cpu.diag", &format.import(&file).expect("a CPU profile"));
    let viewer = folder.viewer();
    for query in ["", "?frames=all", "?frames=all&invert=true"] {
        let slice = viewer.json(&format!("/s/{id}/cpu/flame.json{query}")).await;
        assert_eq!(
            (&slice["unit"], &slice["nodes"]["total"][0]),
            (&json!("ns"), &json!(60_000_000)),
            "{query}"
        );
        assert_eq!(slice["nodes"]["samples"][0], json!(6));
    }
    let slice = viewer.json(&format!("/s/{id}/cpu/flame.json?frames=all")).await;
    check_adds_up(&slice, "total", "self");
    let twin = viewer.json(&format!("/api/v1/s/{id}/cpu?frames=all")).await;
    assert_eq!((&twin["whole"]["cpu_ns"], &twin["whole"]["samples"]), (&json!(60_000_000), &json!(6)));
    let callees = twin["callees"].as_array().expect("callees");
    let of_callees: i64 = callees.iter().map(|callee| callee["cpu_ns"].as_i64().expect("a time")).sum();
    assert_eq!(of_callees, 60_000_000);
    let page = viewer.page(&format!("/s/{id}/cpu")).await;
    assert!(page.contains("<h1>60 ms on a CPU</h1>") && page.contains("class=\"flame-svg\""), "{page}");
    assert!(!page.contains("name=\"value\"") && !page.contains("name=\"age\""), "it has no blocks: {page}");
    assert!(viewer.page(&format!("/s/{id}/tasks")).await.contains(&format!("href=\"/s/{id}/cpu\"")));
    // Of a snapshot without one there is none, and no link to it.
    let other = folder.write("other.diag", &service().at(9.0));
    assert_eq!(viewer.get(&format!("/s/{other}/cpu")).await.status, StatusCode::NOT_FOUND);
    assert!(!folder.viewer().page(&format!("/s/{other}/tasks")).await.contains("/cpu\""));
}

/// A finding has the heap of its own site or function, drawn by the server, and leads to the whole.
#[tokio::test]
async fn a_finding_has_a_flame_of_its_own() {
    let scene = Scene::new("finding");
    let report = scene.json("/api/v1/d/{a}..{b}").await;
    let mut seen = [0, 0];
    for finding in report["findings"].as_array().expect("findings") {
        let id = finding["id"].as_str().expect("an id");
        for path in [format!("/f/{id}"), format!("/d/{{a}}..{{b}}/v/{id}")] {
            let page = scene.viewer.page(&scene.path(&path)).await;
            let twin = scene.json(&format!("/api/v1{path}")).await;
            assert!(page.contains("class=\"flame-svg\"") && !page.contains("/page.js"), "{path}: {page}");
            // The button leads to the slice that is drawn.
            let whole = scene.path("/s/{b}/heap?");
            let buttons = page.split("class=\"button\" href=\"").skip(1);
            let link =
                buttons.filter_map(|rest| rest.split('"').next()).find(|link| link.starts_with(&whole));
            let query = link.expect("a link to the heap").split_once('?').expect("a query").1;
            let slice = scene.json(&format!("/s/{{b}}/flame.json?{query}")).await;
            if let Some(site) = twin["site_index"].as_u64() {
                assert_eq!(query, format!("site={site}"), "{path}");
                seen[0] += 1;
            } else {
                assert_eq!(name(&slice, 0), twin["function"]["name"].as_str().expect("a name"));
                seen[1] += 1;
            }
            let words = diag_analysis::human::bytes(column(&slice, "total")[0] as u64);
            assert!(page.contains(&format!(": {words} (95 %: ")), "{path} does not say {words}: {page}");
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "of a site, and of a function: {seen:?}");
}

#[tokio::test]
async fn what_cannot_be_shown_is_said() {
    let scene = Scene::new("refused");
    let (not_found, unusable) = (StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY);
    for page in ["/s/{b}/heap", "/s/{b}/flame.json", "/s/{b}/heap.svg", "/api/v1/s/{b}/heap"] {
        scene.check_refused(&format!("{page}?root=99999"), not_found, "no frame 99999").await;
        scene.check_refused(&format!("{page}?root=x"), not_found, "no frame x").await;
        scene.check_refused(&format!("{page}?root=1.2"), not_found, "no frame 1.2").await;
        scene.check_refused(&format!("{page}?invert=true&root=1.99999"), not_found, "no frame").await;
        scene.check_refused(&format!("{page}?function=99999"), not_found, "no frame 99999").await;
        scene.check_refused(&format!("{page}?await=nowhere"), unusable, "no task").await;
        scene.check_refused(&format!("{page}?value=allocated_bytes&site=0"), unusable, "choose live").await;
        scene.check_refused(&format!("{page}?value=allocated_bytes&age=1s"), unusable, "by age").await;
        let bad = StatusCode::BAD_REQUEST;
        scene.check_refused(&format!("{page}?age=60"), bad, "such as 90s").await;
        scene.check_refused(&format!("{page}?q=%2F%28%2F"), bad, "not a pattern: unclosed group").await;
        scene.check_refused(&format!("{page}?kind=Vector"), bad, "kind is one of Vec, ").await;
        scene.check_refused(&format!("{page}?task=dead"), StatusCode::BAD_REQUEST, "task is one of").await;
    }
    scene.check_refused("/d/{a}..{b}/heap?site=99", not_found, "no spawn site 99").await;
    scene.check_refused("/d/{a}..{b}/heap?mode=colour", StatusCode::BAD_REQUEST, "mode").await;
    scene.check_refused("/d/{a}..0123456789/flame.json", not_found, "{\n  \"error\":").await;
}

#[tokio::test]
async fn without_a_script_each_frame_is_a_link() {
    let scene = Scene::new("links");
    let slice = scene.json("/s/{b}/flame.json").await;
    let page = scene.viewer.page(&scene.path("/s/{b}/heap?q=put")).await;
    assert!(!page.contains("style=") && !page.contains("onclick") && !site::runs_foreign_script(&page));
    for i in 1..column(&slice, "total").len() {
        let link =
            scene.path(&format!("href=\"/s/{{b}}/heap?q=put&#38;root={}\"", slice["nodes"]["node"][i]));
        assert!(page.matches(&link).count() >= 2, "{link} is not in the picture and in the table: {page}");
    }
    assert!(page.contains("1 frame found: ") && page.contains(" match\""), "{page}");
    assert!(page.contains("role=\"treegrid\"") && page.contains("aria-level=\"2\""));
    let growth = scene.viewer.page(&scene.path("/d/{a}..{b}/heap")).await;
    for says in ["− gone old::keep", "+ new fresh::take", "class=\"shrank", " gone\"", "grew"] {
        assert!(growth.contains(says), "{says}: {growth}");
    }
}

/// The files that a page runs or has a browser load for that.
fn scripts(page: &str) -> Vec<&str> {
    let attribute = |part: &'static str| {
        page.split(part).skip(1).map(|rest| rest.split('"').next().expect("the end of an address"))
    };
    attribute("<script type=\"module\" src=\"").chain(attribute("rel=\"modulepreload\" href=\"")).collect()
}

#[tokio::test]
async fn the_script_is_small_and_kept_by_browsers() {
    let scene = Scene::new("assets");
    let page = scene.viewer.page(&scene.path("/s/{b}/heap")).await;
    let mut all = 0;
    let mut imported = std::collections::BTreeSet::new();
    let scripts = scripts(&page);
    for script in &scripts {
        let answer = scene.viewer.get(script).await;
        assert_eq!(answer.headers["cache-control"], "public, max-age=31536000, immutable", "{script}");
        assert!(answer.headers["content-type"].to_str().expect("text").starts_with("text/javascript"));
        all += answer.body.len();
        for word in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"]
        {
            assert!(!answer.body.contains(word), "{script} has {word}");
        }
        let folder = script.rsplit_once('/').expect("a path").0;
        let imports = answer.body.split(" from './").skip(1);
        imported.extend(
            imports.map(|rest| format!("{folder}/{}", rest.split('\'').next().expect("the end of a name"))),
        );
    }
    assert!(all <= 60_000, "the script has {all} bytes");
    // What is imported is loaded at once, and nothing else of the flamegraph is.
    let of_flame =
        scripts.iter().filter(|script| !script.ends_with("/events.js") && !script.ends_with("/page.js"));
    let preloaded: std::collections::BTreeSet<String> = of_flame.map(|&script| script.to_owned()).collect();
    assert_eq!(imported, preloaded);
    let other = scene.viewer.get("/a/0123456789abcdef/page.js").await;
    assert_eq!(
        (other.status, &other.headers["cache-control"]),
        (StatusCode::NOT_FOUND, &"no-store".parse().expect("a value"))
    );
}

/// Red, green and blue of `#rrggbb`.
fn color(text: &str) -> Option<[f64; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let part =
        |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok().map(|part| f64::from(part) / 255.0);
    Some([part(0)?, part(2)?, part(4)?])
}

/// By the Web Content Accessibility Guidelines.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
    let light = |[r, g, b]: [f64; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
    let (one, other) = (light(one), light(other));
    one.max(other) / one.min(other)
}

#[test]
fn text_can_be_read_on_every_fill_of_both_themes() {
    let style = include_str!("../src/assets/flame.css");
    let palettes: Vec<&str> =
        style.split(":root {").skip(1).map(|rest| rest.split('}').next().expect("its end")).collect();
    assert_eq!(palettes.len(), 2, "light and dark");
    for palette in palettes {
        let colors: Vec<(&str, [f64; 3])> = (palette.split(';'))
            .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": "))
            .filter_map(|(name, text)| Some((name, color(text)?)))
            .collect();
        let ink = colors.iter().find(|(name, _)| *name == "bar-ink").expect("ink").1;
        let is_fill = |name: &str| {
            ["own", "library", "runtime", "grew", "shrank", "level"].iter().any(|fill| name.starts_with(fill))
        };
        let fills: Vec<_> = colors.iter().filter(|(name, _)| is_fill(name)).collect();
        assert_eq!(fills.len(), 15);
        for (name, fill) in fills {
            let contrast = contrast(ink, *fill);
            assert!(contrast >= 4.5, "text on --{name} has a contrast of {contrast:.2}");
        }
    }
}
