//! A snapshot has the connections of a pool as they are: who has which, since which line, and which are idle.

use std::time::Duration;

use diag_analysis::Analysis;
use diag_pools::{deadpool, sqlx};

/// What is told of each place, those of a name: `line: sentence`.
fn told(name: &str) -> Vec<(u32, String)> {
    let (snapshot, damage) = diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    let views = Analysis::new(snapshot).resource_site_views();
    let views = views.into_iter().filter(|view| view.name.as_deref() == Some(name));
    let line = |location: &str| location.rsplit(':').next().and_then(|line| line.parse().ok());
    let sentence = |sentence: String| sentence.split(", oldest").next().unwrap_or_default().to_owned();
    views.map(|view| (line(&view.location).expect("a line"), sentence(view.sentence()))).collect()
}

#[tokio::test]
async fn deadpool_tells_who_has_its_connections() {
    let pool = ::deadpool::managed::Pool::<deadpool::Dialer>::builder(deadpool::Dialer).max_size(4).build();
    let pool = pool.expect("it needs no runtime");
    let first = deadpool::taken(pool.get().await.expect("there is room"));
    let line = line!() - 1;
    let second = deadpool::taken(pool.get().await.expect("there is room"));
    drop(second);
    let told = told("deadpool connection");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&(line, "1 deadpool connection in use".to_owned())), "{told:?}");
    assert!(told.iter().any(|(_, sentence)| sentence == "1 deadpool connection, 1 idle"), "{told:?}");
    drop((first, pool));
    assert_eq!(self::told("deadpool connection"), [], "the pool has closed them");
}

#[tokio::test]
async fn sqlx_tells_who_has_its_connections() {
    let options =
        ::sqlx::sqlite::SqlitePoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(30));
    let pool = options.connect("sqlite::memory:").await.expect("it is in memory");
    let mut connection = sqlx::taken(pool.acquire().await.expect("there is room"));
    let line = line!() - 1;
    let (one,): (i64,) = ::sqlx::query_as("SELECT 1").fetch_one(&mut *connection).await.expect("it is SQL");
    assert_eq!(one, 1);
    sqlx::publish(&pool);
    assert_eq!((diag::gauge("sqlx_connections").get(), diag::gauge("sqlx_idle_connections").get()), (1, 0));
    assert_eq!(told("sqlx connection"), [(line, "1 sqlx connection in use".to_owned())]);
    drop(connection);
    assert_eq!(told("sqlx connection"), []);
}
