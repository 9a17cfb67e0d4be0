//! What was measured, summed up.

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Values of one figure, sorted.
#[derive(Debug)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// # Panics
    /// Without values.
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "something was measured");
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    /// The value that this part of all values is not above.
    pub fn quantile(&self, part: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * part).round() as usize]
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// Minimum, quartiles and further quantiles.
    pub fn summary(&self) -> Value {
        let [p25, p50, p75, p90, p99] = [0.25, 0.5, 0.75, 0.9, 0.99].map(|part| rounded(self.quantile(part)));
        json!({"min": rounded(self.min()), "p25": p25, "p50": p50, "p75": p75, "p90": p90, "p99": p99,
            "max": rounded(self.quantile(1.0)), "count": self.0.len()})
    }

    /// How many values are in each step of a factor of √2: pairs of the step's upper end and a count.
    pub fn histogram(&self) -> Value {
        let step = |value: &f64| (value.max(1e-3).log2() * 2.0).floor() as i32;
        let rows = self.0.chunk_by(|left, right| step(left) == step(right));
        rows.map(|row| json!([rounded(f64::from(step(&row[0]) + 1).mul_add(0.5, 0.0).exp2()), row.len()])).collect()
    }
}

/// Three digits and more are as good as all.
pub fn rounded(value: f64) -> f64 {
    let factor = if value < 100.0 { 1e3 } else { 10.0 };
    (value * factor).round() / factor
}

/// Seconds that this thread ran: what other programs on the machine do does not count.
pub fn thread_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
