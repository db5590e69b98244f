//! The fault of rust-oracle#48: a connection caches object types, and each type has the connection that it is of. Nobody
//! else has them, and they live for ever. In the twin a type has a weak reference.

use std::sync::{Arc, Mutex, Weak};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Connection {
    types: Mutex<Vec<Arc<ObjectType>>>,
}

struct ObjectType {
    description: Vec<u8>,
    _connection: Owner,
}

enum Owner {
    Strong(#[expect(dead_code)] Arc<Connection>),
    Weak(#[expect(dead_code)] Weak<Connection>),
}

impl Drop for ObjectType {
    fn drop(&mut self) {
        zoo::held(-(self.description.len() as i64));
    }
}

fn object_type(connection: &Arc<Connection>) -> Arc<ObjectType> {
    let owner = if zoo::healthy() {
        Owner::Weak(Arc::downgrade(connection))
    } else {
        Owner::Strong(connection.clone())
    };
    let description = vec![1; 3_000]; // FAULT
    zoo::held(3_000);
    let object_type = Arc::new(ObjectType { description, _connection: owner }); // FAULT
    connection.types.lock().unwrap().push(object_type.clone()); // FAULT
    object_type
}

async fn query() -> usize {
    let connection = Arc::<Connection>::default();
    object_type(&connection).description.len() + object_type(&connection).description.len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::pace(400, || {
        diag::spawn(query());
    })
    .await;
}
