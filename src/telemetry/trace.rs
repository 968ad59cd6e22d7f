//! Where a piece of work stands in a trace (W3C Trace Context): read from
//! whoever asks, kept with what is made, sent along with what is asked of
//! others. Each piece of work has its ids whether or not spans are exported, so
//! that log lines can be told apart by them.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::field::display;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header that carries it.
pub const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    static HERE: TraceContext;
}

/// A place in a trace, as the header `traceparent` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a traceparent: it is not 00-, 32, 16 and 2 small hexadecimal digits, with hyphens between")]
pub struct NoTraceContext;

impl FromStr for TraceContext {
    type Err = NoTraceContext;

    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let small = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            parts.next().filter(|part| part.len() == digits && part.bytes().all(small)).ok_or(NoTraceContext)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // Later versions may add parts behind; this one has none.
        if version == "ff" || version == "00" && parts.next().is_some() {
            return Err(NoTraceContext);
        }
        let number = |text| u128::from_str_radix(text, 16).map_err(|_| NoTraceContext);
        let trace = TraceId::from_bytes(number(trace)?.to_be_bytes());
        let span = SpanId::from_hex(span).map_err(|_| NoTraceContext)?;
        if trace == TraceId::INVALID || span == SpanId::INVALID {
            return Err(NoTraceContext);
        }
        Ok(TraceContext { trace, span, sampled: number(flags)? & 1 == 1 })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl TraceContext {
    /// The beginning of a trace of its own, or the next place in that of a
    /// parent.
    fn below(parent: Option<TraceContext>) -> Self {
        let trace = parent.map_or_else(|| TraceId::from_bytes(rand::random()), |parent| parent.trace);
        let sampled = parent.is_some_and(|parent| parent.sampled);
        TraceContext { trace, span: SpanId::from_bytes(rand::random()), sampled }
    }

    fn of(context: &SpanContext) -> Option<Self> {
        context.is_valid().then(|| TraceContext {
            trace: context.trace_id(),
            span: context.span_id(),
            sampled: context.is_sampled(),
        })
    }

    fn as_remote(&self) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(self.trace, self.span, flags, true, TraceState::default())
    }
}

/// Carries a piece of work out in its span, as a part of the parent's trace or
/// as the beginning of one. The span's field `trace_id`, where it has one, is
/// filled in.
pub async fn traced<T>(span: Span, parent: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    if let Some(parent) = parent {
        // There is nothing to set where spans are not exported.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent.as_remote()));
    }
    let here = exported(&span).unwrap_or_else(|| TraceContext::below(parent));
    span.record("trace_id", display(here.trace));
    HERE.scope(here, work.instrument(span)).await
}

/// Where the present piece of work stands; `None` outside of any.
pub fn here() -> Option<TraceContext> {
    exported(&Span::current()).or_else(|| HERE.try_with(|here| *here).ok())
}

/// The same as a text, to be kept or sent.
pub fn traceparent() -> Option<String> {
    here().map(|here| here.to_string())
}

/// A request that tells whom it asks where in a trace it was made.
pub fn with_trace(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    match traceparent() {
        Some(trace) => request.header(TRACEPARENT, trace),
        None => request,
    }
}

/// Links a span with where something was made, which is another trace.
pub fn link(span: &Span, made_at: Option<&str>) {
    if let Some(made_at) = made_at.and_then(|text| text.parse::<TraceContext>().ok()) {
        span.add_link(made_at.as_remote());
    }
}

/// The place of a span that is exported.
fn exported(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    TraceContext::of(context.span().span_context())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it() {
        assert_eq!(PARENT.parse::<TraceContext>().unwrap().to_string(), PARENT);
        let later = PARENT.replacen("00-", "01-", 1) + "-what-may-come";
        assert_eq!(later.parse::<TraceContext>().unwrap().to_string(), PARENT);
        let wrong = [
            String::new(),
            PARENT.to_uppercase(),
            PARENT.replacen("00-", "ff-", 1),
            format!("{PARENT}-more"),
            PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            PARENT.replace("b7ad6b7169203331", "b7ad6b716920333é"),
        ];
        for text in wrong {
            assert_eq!(text.parse::<TraceContext>(), Err(NoTraceContext), "{text}");
        }
    }

    #[tokio::test]
    async fn work_stands_in_the_trace_of_its_parent_without_any_exporter() {
        assert_eq!(here(), None);
        let parent = PARENT.parse::<TraceContext>().unwrap();
        let inside = traced(Span::none(), Some(parent), async { here().unwrap() }).await;
        assert_eq!((inside.trace, inside.sampled), (parent.trace, true));
        assert_ne!(inside.span, parent.span);
        let own = traced(Span::none(), None, async { here().unwrap() }).await;
        assert_ne!(own.trace, parent.trace);
        assert!(!own.sampled);
    }
}
