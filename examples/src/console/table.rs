//! The table of tasks as tokio-console draws it.

/// A task of the table: what its line says, as far as this is compared with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The client has something to say of the task.
    pub is_warned: bool,
    /// tokio's number of the task.
    pub id: u64,
    /// `IDLE`, `BUSY`, `SCHED` or `DONE`.
    pub state: String,
    /// The name that it was given, else that of its function.
    pub name: String,
    /// How often it was polled.
    pub polls: u64,
    /// `task`, `local`, `future` or `blocking`.
    pub kind: String,
    /// Where it was spawned; its end is cut off where there is no room.
    pub location: String,
}

/// The lines below the head of the table; what is no line of a task is left out.
pub fn lines(screen: &str) -> Vec<Line> {
    let mut rows =
        screen.lines().skip_while(|line| !(line.trim_start().starts_with("Warn") && line.contains(" ID")));
    let Some(columns) = rows.next().and_then(Columns::of) else { return Vec::new() };
    rows.filter_map(|row| columns.line(row)).collect()
}

/// Where the columns begin.
struct Columns {
    id: usize,
    state: usize,
    name: usize,
    total: usize,
    polls: usize,
    kind: usize,
    location: usize,
    fields: usize,
}

impl Columns {
    fn of(head: &str) -> Option<Self> {
        Some(Columns {
            id: head.find(" ID")?,
            state: head.find("State")?,
            name: head.find("Name")?,
            total: head.find("Total")?,
            polls: head.find("Polls")?,
            kind: head.find("Kind")?,
            location: head.find("Location")?,
            fields: head.find("Fields")?,
        })
    }

    fn line(&self, row: &str) -> Option<Line> {
        let cells: Vec<char> = row.chars().collect();
        let between = |from: usize, to: usize| {
            let cells = cells.get(from..to.min(cells.len()))?;
            Some(cells.iter().collect::<String>().trim().to_owned())
        };
        Some(Line {
            is_warned: between(0, self.id)?.contains('!'),
            id: between(self.id, self.state)?.parse().ok()?,
            state: between(self.state, self.name)?,
            name: between(self.name, self.total)?,
            polls: between(self.polls, self.kind)?.parse().ok()?,
            kind: between(self.kind, self.location)?,
            location: between(self.location, self.fields)?,
        })
    }
}

/// The page of one task: its number, and how many wakers it has.
pub fn wakers_on_page(screen: &str) -> Option<(u64, u64)> {
    Some((number_after(screen, "ID: ")?, number_after(screen, "Current wakers: ")?))
}

fn number_after(screen: &str, words: &str) -> Option<u64> {
    let (_, rest) = screen.split_once(words)?;
    let end = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: &str = "\
Warnings
/!\\ 1 tasks have lost their wakers
Tasks (354) BUSY Running (0) IDLE Idle (214)
Warn  ID  State  Name            Total- Busy   Sched  Idle   Polls Kind   Location              Fields
       38 IDLE   waits               8s    0ns    0ns     8s 1     task   src/service.rs:63:5   await=mpsc
! 1  1415 BUSY   loses its waker     8s   16us    0ns     8s 132   local  src/service.rs:41:13  size.bytes=1
last
";

    #[test]
    fn each_line_is_taken_apart() {
        let line = |id, state: &str, name: &str, polls, kind: &str, location: &str| Line {
            is_warned: id == 1415,
            id,
            state: state.to_owned(),
            name: name.to_owned(),
            polls,
            kind: kind.to_owned(),
            location: location.to_owned(),
        };
        let expected = [
            line(38, "IDLE", "waits", 1, "task", "src/service.rs:63:5"),
            line(1415, "BUSY", "loses its waker", 132, "local", "src/service.rs:41:13"),
        ];
        assert_eq!(lines(SCREEN), expected);
        assert_eq!(lines("no table"), []);
    }

    #[test]
    fn a_table_with_a_chosen_line_is_moved() {
        let screen = "   Warn- ID   State  Name    Total  Polls Kind   Location        Fields\n\
                      >> ! 1   2618 IDLE   Sleep       2s 1     task   src/a.rs:49:1   await=timer\n";
        let [line] = &lines(screen)[..] else { panic!("{:?}", lines(screen)) };
        assert_eq!((line.is_warned, line.id, &*line.name, line.polls), (true, 2618, "Sleep", 1));
    }

    #[test]
    fn a_page_says_how_many_wakers_its_task_has() {
        let page = "ID: 38 \nTotal Time: 8s  Current wakers: 2 (clones: 2, drops: 0)\n";
        assert_eq!(wakers_on_page(page), Some((38, 2)));
        assert_eq!(wakers_on_page(SCREEN), None);
    }
}
