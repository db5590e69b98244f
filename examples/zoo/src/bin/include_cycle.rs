//! Waiting for itself, the kind of fault of despatma#26: each template is loaded once, whoever asks meanwhile waits, and loading
//! loads what the template includes. Two templates of a new release include each other. The twin knows for whom it loads.

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod source {
    use std::time::Duration;

    /// Reads a template, and which other it includes.
    pub(crate) async fn read(name: u64) -> (String, Option<u64>) {
        tokio::time::sleep(Duration::from_millis(4)).await;
        let includes = match name {
            0 => None,
            161 => Some(482),
            482 => Some(161),
            name => Some(name / 3),
        };
        (format!("<section id={name}>{:>200}</section>", ""), includes)
    }
}

mod templates {
    use std::collections::HashMap;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};

    use tokio::sync::OnceCell;

    use crate::source;

    type Text = Arc<str>;

    #[derive(Default)]
    pub(crate) struct Templates(Mutex<HashMap<u64, Arc<OnceCell<Text>>>>);

    impl Templates {
        /// Returns a template with all that it includes.
        pub(crate) async fn get(&self, name: u64) -> Text {
            self.get_for(name, &[]).await // FAULT
        }

        /// The same, for a template that is being loaded for others.
        fn get_for<'a>(
            &'a self,
            name: u64,
            loading: &'a [u64],
        ) -> Pin<Box<dyn Future<Output = Text> + Send + 'a>> {
            Box::pin(async move {
                if zoo::healthy() && loading.contains(&name) {
                    return Text::from("<!-- included by itself -->");
                }
                let cell = self.0.lock().unwrap().entry(name).or_default().clone();
                cell.get_or_init(|| self.load(name, loading)).await.clone() // FAULT
            })
        }

        async fn load(&self, name: u64, loading: &[u64]) -> Text {
            let (mut text, includes) = source::read(name).await;
            if let Some(included) = includes {
                let loading = [loading, &[name]].concat();
                text.push_str(&self.get_for(included, &loading).await); // FAULT
            }
            text.into()
        }
    }
}

mod site {
    use std::sync::Arc;

    use crate::templates::Templates;

    /// The release comes after ten seconds, and brings 500 pages to the 100 that there are.
    pub(crate) fn page(n: u64) -> u64 {
        zoo::mix(n) % if n < 400 { 100 } else { 600 }
    }

    pub(crate) async fn render(templates: Arc<Templates>, page: u64) -> usize {
        templates.get(page).await.len() // FAULT
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let templates = std::sync::Arc::<templates::Templates>::default();
    zoo::every(25, |n| {
        diag::spawn(site::render(templates.clone(), site::page(n))); // FAULT
    })
    .await;
}
