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

    /// Pairs of a part of all values, and the value that it is not above.
    pub fn quantiles(&self) -> Value {
        [0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0]
            .map(|part| json!([part, rounded(self.quantile(part))]))
            .to_vec()
            .into()
    }

    /// How many values are in each step of a factor of √2: pairs of the step's upper end and a count.
    pub fn histogram(&self) -> Value {
        let step = |value: &f64| (value.max(1e-3).log2() * 2.0).floor() as i32;
        let rows = self.0.chunk_by(|left, right| step(left) == step(right));
        rows.map(|row| json!([rounded((f64::from(step(&row[0]) + 1) / 2.0).exp2()), row.len()])).collect()
    }
}

/// One row: our figure, the rivals', and how many times better than the best of them that is on a disk.
pub fn row(name: &str, unit: &str, metis: &Spread, rivals: &[(&str, &Spread)]) -> Value {
    let best = rivals.iter().filter(|(rival, _)| *rival != "memory").map(|(_, spread)| spread.median());
    let medians = rivals.iter().map(|(rival, spread)| ((*rival).to_owned(), rounded(spread.median()).into()));
    json!({
        "name": name,
        "unit": unit,
        "metis": rounded(metis.median()),
        "min": rounded(metis.quantile(0.0)),
        "p99": rounded(metis.quantile(0.99)),
        "rivals": medians.collect::<serde_json::Map<_, _>>(),
        "ratio_best_rival": best.reduce(f64::min).map(|best| rounded(best / metis.median())),
        "quantiles": metis.quantiles(),
        "histogram": metis.histogram(),
        "rivals_quantiles": rivals.iter().map(|(rival, spread)| json!([rival, spread.quantiles()])).collect::<Value>(),
    })
}

/// One row of what is no time, and the same whenever it is looked at.
pub fn count(name: &str, unit: &str, metis: f64) -> Value {
    let metis = rounded(metis);
    json!({"name": name, "unit": unit, "metis": metis, "min": metis, "p99": metis, "rivals": {}, "ratio_best_rival": null})
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
