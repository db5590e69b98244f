//! Small services under load: what a whole request costs, and not an operation by itself.
//!
//! [`orders`] is made of tasks and messages, [`churn`] of strings and maps, [`web`] is an HTTP server behind sockets. None
//! has a disk or a database: a service that does more for a request sees less of what a recorder and an allocator cost.

mod churn;
mod orders;
mod web;

use std::io;
use std::process::ExitCode;
use std::thread;

use crate::clock;
use crate::fixed::Fixed;
use crate::request::{Flavor, Load, ServiceRequest};
use crate::tasks::Peer;

/// The whole of a service's `main`: does what the arguments ask for.
pub fn main<P: Peer>(peer: &P) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(request) = ServiceRequest::from_args(&args) else {
        eprintln!("expected a request of the driver: time LOAD, or count LOAD N");
        return ExitCode::from(2);
    };
    match request {
        ServiceRequest::Time(load) => time(&mut *service(peer, load, Flavor::CurrentThread)),
        ServiceRequest::Count(load, operations) => {
            Fixed::begin();
            service(peer, load, Flavor::CurrentThread).run(operations);
        }
    }
    ExitCode::SUCCESS
}

fn service<P: Peer>(peer: &P, load: Load, flavor: Flavor) -> Box<dyn Service> {
    match load {
        Load::Orders => Box::new(orders::Orders::<P>::new(peer, flavor)),
        Load::Churn => Box::new(churn::Churn::new()),
        Load::Axum => Box::new(web::Web::start(peer, flavor)),
    }
}

/// Something that a service does under load.
trait Service {
    /// Operations of one batch, some 25 ms.
    fn batch(&self) -> u64;

    /// Runs so many operations. Gives the CPU time in nanoseconds of those who only ask for them.
    fn run(&mut self, operations: u64) -> u64;
}

/// Prints the CPU time of one operation in nanoseconds: of a batch for each line of standard input, after one that
/// fills what is filled lazily. The driver lets several processes take turns, so that all of them see the same
/// minutes of the machine.
fn time(service: &mut dyn Service) {
    // glibc takes no lock as long as there is one thread, and every service has more.
    thread::spawn(thread::park);
    service.run(service.batch());
    for _ in io::stdin().lines() {
        println!("{}", cpu_ns(service));
    }
}

fn cpu_ns(service: &mut dyn Service) -> f64 {
    let (operations, before_ns) = (service.batch(), clock::process_cpu_ns());
    let asking_ns = service.run(operations);
    (clock::process_cpu_ns() - before_ns - asking_ns) as f64 / operations as f64
}
