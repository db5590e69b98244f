//! `Layer`: from the fields of spans to the labels of tasks.
//!
//! A span has its labels from its creation on, those of the spans around it included, in its extensions. What is entered
//! puts them in force; `diag` labels the tasks by that. A value whose field is not asked for is never formatted.

use std::borrow::Cow;
use std::fmt;

use diag::task::spans::{self, SpanLabels};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Subscriber, field::FieldSet};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::trace_id::TraceId;
use crate::traceparent::Traceparent;
use crate::value::Value;

const REQUEST_ID: &str = "request_id";
const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";
const TRACEPARENT: &str = "traceparent";

/// The fields that become labels unless others are named.
pub const DEFAULT_FIELDS: [&str; 8] =
    [REQUEST_ID, TRACE_ID, SPAN_ID, TRACEPARENT, "correlation_id", "job_id", "tenant_id", "device_id"];

/// A layer that labels tasks with fields of the spans that they are spawned or polled in.
///
/// Only fields of its list become labels, by their names; no other value is looked at. `traceparent` gives two labels, `trace_id`
/// and `span_id`, and none by itself.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let layer = diag_tracing::Layer::new().field("order_id");
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # drop(subscriber);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing unless a subscriber has it"]
pub struct Layer {
    fields: Vec<Cow<'static, str>>,
    makes_trace_ids: bool,
}

impl Layer {
    /// Makes a layer for the [default fields](DEFAULT_FIELDS).
    pub fn new() -> Self {
        Layer { fields: DEFAULT_FIELDS.map(Cow::Borrowed).to_vec(), makes_trace_ids: true }
    }

    /// Adds a field to the list.
    pub fn field(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push(name.into());
        self
    }

    /// Replaces the list. An empty one labels nothing.
    ///
    /// ```
    /// let only_requests = diag_tracing::Layer::new().only(["request_id"]);
    /// # drop(only_requests);
    /// ```
    pub fn only(self, names: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        Layer { fields: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Makes no trace ids: a task has one if a span or caller gave it. Saves a label of each request.
    pub fn without_made_trace_ids(self) -> Self {
        Layer { makes_trace_ids: false, ..self }
    }

    fn asks_for_any(&self, fields: &FieldSet) -> bool {
        fields.iter().any(|field| self.asks_for(field.name()))
    }

    fn asks_for(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field == name)
    }

    /// What a span says, over the labels that it has already or those around it.
    fn read(&self, rest: Option<SpanLabels>, record: impl FnOnce(&mut dyn Visit)) -> Option<SpanLabels> {
        let mut reader = Reader { layer: self, labels: rest, trace_id: None, has_said: false };
        record(&mut reader);
        reader.finish()
    }
}

impl Default for Layer {
    fn default() -> Self {
        Layer::new()
    }
}

impl<S> tracing_subscriber::Layer<S> for Layer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_layer(&mut self, _: &mut S) {
        spans::follow();
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let around = span.parent().and_then(|parent| parent.extensions().get::<SpanLabels>().cloned());
        let labels = match self.asks_for_any(attributes.metadata().fields()) {
            true => self.read(around, |reader| attributes.record(reader)),
            false => around,
        };
        if let Some(labels) = labels {
            span.extensions_mut().insert(labels);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if !self.asks_for_any(span.metadata().fields()) {
            return;
        }
        let before = span.extensions().get::<SpanLabels>().cloned();
        if let Some(labels) = self.read(before, |reader| values.record(reader)) {
            labels.renew(id.into_u64());
            span.extensions_mut().replace(labels);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(labels) = span.extensions().get::<SpanLabels>() {
            labels.enter(id.into_u64());
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        spans::leave(id.into_u64());
    }
}

/// Takes the fields that are asked for.
struct Reader<'a> {
    layer: &'a Layer,
    labels: Option<SpanLabels>,
    /// What a request id tells of it.
    trace_id: Option<TraceId>,
    has_said: bool,
}

impl Reader<'_> {
    fn say(&mut self, field: &Field, value: &Value) {
        self.has_said = true;
        match field.name() {
            TRACEPARENT => self.say_caller(value),
            REQUEST_ID => {
                self.trace_id = TraceId::of_request(value.text());
                self.label(REQUEST_ID, value.masked());
            }
            name => self.label(name, value.masked()),
        }
    }

    fn say_caller(&mut self, value: &Value) {
        if let Some(caller) = Traceparent::parse(value.text()) {
            self.label(TRACE_ID, caller.trace_id());
            self.label(SPAN_ID, caller.parent_id());
        }
    }

    fn label(&mut self, key: &str, value: &str) {
        self.labels = SpanLabels::with(self.labels.take(), key, value);
    }

    fn finish(mut self) -> Option<SpanLabels> {
        let has_trace_id = |labels: &SpanLabels| labels.get(TRACE_ID).is_some();
        if self.has_said
            && self.layer.makes_trace_ids
            && self.labels.as_ref().is_some_and(|it| !has_trace_id(it))
        {
            let trace_id = self.trace_id.take().unwrap_or_else(TraceId::made);
            self.labels = SpanLabels::with(self.labels, TRACE_ID, trace_id);
        }
        self.labels
    }
}

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.layer.asks_for(field.name()) {
            self.say(field, &Value::of_text(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.layer.asks_for(field.name()) {
            self.say(field, &Value::of_debug(value));
        }
    }
}
