"""The quantiser's own arithmetic, against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metis.ai.graph import DType
from metis.ai.quantise.emitter import HEADROOM, NARROW_MAX, Emitter, Value, fixed_point, power_of_two_scale
from metis.ai.quantise.float_elementwise import erf
from metis.ai.quantise.float_linear import window_pads
from metis.ai.quantise.lower_linear import product_limits

RATIOS = st.floats(1e-9, 1e6)


@given(st.lists(RATIOS, min_size=1, max_size=8), st.integers(8, 30))
def test_fixed_point__of_ratios__is_within_half_a_step(ratios: list[float], bits: int) -> None:
    multipliers, shift = fixed_point(np.asarray(ratios), bits)
    assert 0 <= shift <= 62
    for ratio, multiplier in zip(ratios, multipliers.tolist(), strict=True):
        step = Fraction(1, 1 << shift)
        assert abs(Fraction(multiplier) * step - Fraction(ratio)) <= step / 2 or multiplier == (1 << 31) - 1


@given(RATIOS)
def test_fixed_point__of_one_ratio__is_precise_to_its_bits(ratio: float) -> None:
    (multiplier,), shift = fixed_point(np.asarray([ratio]), 24)
    if 24 - np.log2(ratio) < 60:
        assert abs(multiplier / 2.0**shift / ratio - 1) <= 2.0**-23


@given(st.floats(1e-6, 1e9), st.sampled_from([127, 4095, NARROW_MAX, (1 << 20) - 1]))
def test_scale__for_a_magnitude__leaves_the_headroom_and_wastes_less_than_a_bit(magnitude: float, limit: int) -> None:
    scale = power_of_two_scale(magnitude, limit)
    assert np.log2(scale).is_integer()
    assert magnitude * HEADROOM <= scale * limit * (1 + 1e-9)
    assert magnitude * HEADROOM > scale * limit / 2 * (1 - 1e-9)


@given(st.integers(1, 1 << 16), st.booleans())
def test_limits__of_a_product__keep_the_sum_in_32_bits(terms: int, share: bool) -> None:  # noqa: FBT001
    first, second = product_limits(terms, first_is_share=share)
    assert first >= 1
    assert first * second * terms < 1 << 31


@given(st.floats(1e-6, 1e3), st.integers(1, 40), st.sampled_from([DType.INT16, DType.INT32]))
def test_rescaled__tensor__is_proven_for_every_operand(ratio: float, bits: int, dtype: DType) -> None:
    emitter = Emitter()
    x = emitter.builder.input("x", DType.INT64, (1,), -(1 << bits), 1 << bits)
    facts = emitter.facts(emitter.rescaled(x, ratio, dtype))
    expected = min(ratio * 2.0**bits, dtype.hi)
    assert abs(facts.hi - expected) <= 1 + expected * 2.0**-13


def test_aligned__values_of_other_scales__mean_what_they_meant() -> None:
    emitter = Emitter()
    a = Value(emitter.builder.input("a", DType.INT16, (1,), -100, 100), 0.5)
    b = Value(emitter.builder.input("b", DType.INT16, (1,), -100, 100), 2.0**-6)
    x, y = emitter.aligned([a, b], [50.0, 1.5], 51.5)
    assert x.scale == y.scale
    assert emitter.facts(x).hi * x.scale == 50.0
    assert emitter.facts(y).hi * y.scale == 100 * 2.0**-6


def test_transposes__one_after_another__become_one() -> None:
    emitter = Emitter()
    x = emitter.builder.input("x", DType.INT8, (2, 3, 4))
    turned = emitter.transpose(emitter.transpose(x, (0, 2, 1)), (1, 0, 2))
    assert emitter.facts(turned).shape == (4, 2, 3)
    assert emitter.transpose(emitter.transpose(x, (2, 0, 1)), (1, 2, 0)) == x


@given(st.floats(-6, 6))
def test_erf__of_any_number__is_near_the_exact_one(x: float) -> None:
    import math

    assert abs(float(erf(np.asarray(x))) - math.erf(x)) < 2e-7


def test_pads__of_the_same_size__are_those_of_onnx() -> None:
    assert window_pads((5, 6), (3, 3), (2, 2), (1, 1), {"auto_pad": "SAME_UPPER"}) == (1, 0, 1, 1)
    assert window_pads((5, 6), (3, 3), (2, 2), (1, 1), {"auto_pad": "SAME_LOWER"}) == (1, 1, 1, 0)
    assert window_pads((6,), (3,), (2,), (1,), {"ceil_mode": 1}) == (0, 1)
