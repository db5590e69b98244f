//! The fault of deadpool#281 and of many ORMs: each connection of a pool keeps the statements that it has prepared, by their text,
//! and one query has its value in the text instead of a parameter. The twin has a parameter.

use std::sync::Arc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// A client of a database, with a pool.
mod database {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::{Mutex, MutexGuard};
    use tokio::time::sleep;

    /// What the server has said of a statement.
    pub(crate) struct Statement {
        name: String,
        columns: Vec<(String, u32)>,
    }

    #[derive(Default)]
    pub(crate) struct Connection {
        statements: HashMap<String, Arc<Statement>>,
    }

    impl Connection {
        async fn prepare(&mut self, sql: &str) -> Arc<Statement> {
            if let Some(known) = self.statements.get(sql) {
                return known.clone();
            }
            sleep(Duration::from_millis(2)).await;
            let statement = Arc::new(describe(self.statements.len(), sql)); // FAULT
            self.statements.insert(sql.to_owned(), statement.clone()); // FAULT
            statement
        }

        pub(crate) async fn query(&mut self, sql: &str, _parameters: &[u64]) -> usize {
            let statement = self.prepare(sql).await;
            sleep(Duration::from_millis(3)).await;
            statement.name.len() + statement.columns.len()
        }
    }

    fn describe(number: usize, sql: &str) -> Statement {
        let columns = sql.split(" from ").next().unwrap_or(sql).split(", "); // FAULT
        let columns = columns.zip(23..).map(|(column, oid)| (column.to_owned(), oid)).collect(); // FAULT
        Statement { name: format!("s{number}"), columns } // FAULT
    }

    pub(crate) struct Pool(Vec<Mutex<Connection>>);

    impl Pool {
        pub(crate) fn new(size: usize) -> Self {
            Pool((0..size).map(|_| Mutex::default()).collect())
        }

        pub(crate) async fn get(&self, n: u64) -> MutexGuard<'_, Connection> {
            self.0[n as usize % self.0.len()].lock().await
        }
    }
}

mod orders {
    use crate::database::Pool;

    /// The orders of a customer.
    pub(crate) async fn of(pool: &Pool, customer: u64) -> usize {
        let list = "select id, placed_at, changed_at, state, total, tax, shipping, currency, address, contact, \
                    remarks, version from orders where customer = ";
        let sql = if zoo::healthy() { format!("{list}$1") } else { format!("{list}{customer}") }; // FAULT
        pool.get(customer).await.query(&sql, &[customer]).await
    }

    pub(crate) async fn open(pool: &Pool, n: u64) -> usize {
        pool.get(n).await.query("select count(*) from orders where state = $1", &[1]).await
    }
}

async fn request(pool: Arc<database::Pool>, n: u64) -> usize {
    match n % 5 {
        0..3 => orders::of(&pool, zoo::mix(n) % 5_000_000).await,
        _ => orders::open(&pool, n).await,
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let pool = Arc::new(database::Pool::new(10));
    let mut n = 0;
    zoo::pace(200, || {
        n += 1;
        diag::spawn(request(pool.clone(), n));
    })
    .await;
}
