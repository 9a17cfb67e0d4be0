//! Where tensors lie: in the weights, or in the arena of one run.

use alloc::{vec, vec::Vec};
use core::{marker::PhantomData, slice};

use crate::graph::DType;

/// Tensors begin at multiples of this many bytes.
pub(crate) const ALIGNMENT_BYTES: usize = 64;

/// An integer that a tensor's elements are.
///
/// # Safety
/// Every bit pattern is a value.
pub(crate) unsafe trait Element: Copy + Send + Sync + 'static {
    const DTYPE: DType;
    fn wide(self) -> i64;
    /// The element where it is known to fit 32 bits.
    fn narrow(self) -> i32;
    fn of_wide(value: i64) -> Self;
    fn of_narrow(value: i32) -> Self;
}

macro_rules! element {
    ($($type:ty: $dtype:ident),*) => {$(
        // SAFETY: an integer.
        unsafe impl Element for $type {
            const DTYPE: DType = DType::$dtype;
            #[inline(always)]
            fn wide(self) -> i64 {
                self as i64
            }
            #[inline(always)]
            fn narrow(self) -> i32 {
                self as i32
            }
            #[inline(always)]
            fn of_wide(value: i64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn of_narrow(value: i32) -> Self {
                value as Self
            }
        }
    )*};
}
element!(i8: Int8, i16: Int16, i32: Int32, i64: Int64);

/// Calls a generic function with the Rust type of an element type.
macro_rules! with_type {
    ($dtype:expr, $name:ident => $body:expr) => {
        match $dtype {
            $crate::graph::DType::Int8 => {
                type $name = i8;
                $body
            }
            $crate::graph::DType::Int16 => {
                type $name = i16;
                $body
            }
            $crate::graph::DType::Int32 => {
                type $name = i32;
                $body
            }
            $crate::graph::DType::Int64 => {
                type $name = i64;
                $body
            }
        }
    };
}
pub(crate) use with_type;

/// Where a tensor's first element is, in bytes from the begin of the weights or of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Weights(usize),
    Arena(usize),
}

/// A tensor as kernels find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub place: Place,
    pub dtype: DType,
    pub elements: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Block([u8; ALIGNMENT_BYTES]);

/// Bytes that begin at a multiple of 64.
pub struct Aligned {
    blocks: Vec<Block>,
}

impl Aligned {
    /// So many zeros, rounded up to a multiple of 64.
    pub fn zeroed(size_bytes: usize) -> Self {
        Self { blocks: vec![Block([0; ALIGNMENT_BYTES]); size_bytes.div_ceil(ALIGNMENT_BYTES)] }
    }

    /// A copy of bytes, with zeros after them up to a multiple of 64.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        copy
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: blocks are arrays of bytes without padding, one after the other.
        unsafe { slice::from_raw_parts(self.blocks.as_ptr().cast(), self.blocks.len() * ALIGNMENT_BYTES) }
    }

    /// All bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the blocks are borrowed for as long as the bytes.
        unsafe { slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast(), self.blocks.len() * ALIGNMENT_BYTES) }
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

/// The weights and the arena of one run, which several threads may use at a time.
///
/// What is read and written at one time is disjoint: the plan gives tensors that live at one time disjoint parts of the
/// arena, and the threads of one step write disjoint elements.
#[derive(Clone, Copy)]
pub(crate) struct Memory<'a> {
    weights: &'a [u8],
    arena: *mut u8,
    arena_bytes: usize,
    borrowed: PhantomData<&'a mut [u8]>,
}

// SAFETY: the arena is borrowed by one run alone; its threads keep the rule above.
unsafe impl Send for Memory<'_> {}
// SAFETY: as above.
unsafe impl Sync for Memory<'_> {}

impl<'a> Memory<'a> {
    /// Both begin at multiples of 64 bytes.
    pub(crate) fn new(weights: &'a [u8], arena: &'a mut Aligned) -> Self {
        assert_eq!(weights.as_ptr().align_offset(ALIGNMENT_BYTES), 0, "weights that are not aligned");
        let bytes = arena.bytes_mut();
        Self { weights, arena: bytes.as_mut_ptr(), arena_bytes: bytes.len(), borrowed: PhantomData }
    }

    fn pointer(&self, place: Place, offset: usize, size_bytes: usize) -> *mut u8 {
        match place {
            Place::Weights(begin) => self.weights[begin + offset..][..size_bytes].as_ptr().cast_mut(),
            Place::Arena(begin) => {
                let end = begin + offset + size_bytes;
                assert!(end <= self.arena_bytes, "a tensor outside the arena");
                // SAFETY: the end is inside the arena.
                unsafe { self.arena.add(begin + offset) }
            }
        }
    }

    /// `count` elements from `first` on.
    ///
    /// # Safety
    /// Nobody writes them while they are borrowed.
    pub(crate) unsafe fn read<T: Element>(&self, slot: &Slot, first: usize, count: usize) -> &'a [T] {
        assert!(slot.dtype == T::DTYPE && first + count <= slot.elements, "elements outside their tensor");
        let pointer = self.pointer(slot.place, first * size_of::<T>(), count * size_of::<T>());
        // SAFETY: the pointer is to as many bytes, aligned because tensors begin at multiples of 64; any bits are an
        // integer; the caller says that nobody writes.
        unsafe { slice::from_raw_parts(pointer.cast::<T>(), count) }
    }

    /// `count` elements from `first` on, to write.
    ///
    /// # Safety
    /// Nobody else reads or writes them while they are borrowed.
    #[allow(clippy::mut_from_ref)] // the rule of this type, not the borrow, keeps writers apart
    pub(crate) unsafe fn write<T: Element>(&self, slot: &Slot, first: usize, count: usize) -> &'a mut [T] {
        assert!(matches!(slot.place, Place::Arena(_)), "weights are not written");
        assert!(slot.dtype == T::DTYPE && first + count <= slot.elements, "elements outside their tensor");
        let pointer = self.pointer(slot.place, first * size_of::<T>(), count * size_of::<T>());
        // SAFETY: as in `read`; the caller says that nobody else uses these elements.
        unsafe { slice::from_raw_parts_mut(pointer.cast::<T>(), count) }
    }

    /// A pointer to `span` elements from `first` on, of which some are written.
    ///
    /// # Safety
    /// Nobody else uses those that are written, for as long as the pointer is used.
    pub(crate) unsafe fn block(&self, slot: &Slot, first: usize, span: usize) -> *mut i32 {
        assert!(matches!(slot.place, Place::Arena(_)), "weights are not written");
        assert!(slot.dtype == DType::Int32 && first + span <= slot.elements, "elements outside their tensor");
        self.pointer(slot.place, first * size_of::<i32>(), span * size_of::<i32>()).cast()
    }

    /// The bytes of a whole tensor.
    ///
    /// # Safety
    /// Nobody writes them while they are borrowed.
    pub(crate) unsafe fn bytes(&self, slot: &Slot) -> &'a [u8] {
        let size_bytes = slot.elements * slot.dtype.size_bytes();
        // SAFETY: `pointer` checks that they are there; the caller that nobody writes.
        unsafe { slice::from_raw_parts(self.pointer(slot.place, 0, size_bytes), size_bytes) }
    }

    /// The bytes of a whole tensor, to write.
    ///
    /// # Safety
    /// Nobody else reads or writes them while they are borrowed.
    #[allow(clippy::mut_from_ref)] // as `write`
    pub(crate) unsafe fn bytes_mut(&self, slot: &Slot) -> &'a mut [u8] {
        assert!(matches!(slot.place, Place::Arena(_)), "weights are not written");
        let size_bytes = slot.elements * slot.dtype.size_bytes();
        // SAFETY: as `bytes`; the caller says that nobody else uses them.
        unsafe { slice::from_raw_parts_mut(self.pointer(slot.place, 0, size_bytes), size_bytes) }
    }

    /// One element.
    ///
    /// # Safety
    /// Nobody writes it at the time.
    #[inline(always)]
    pub(crate) unsafe fn element(&self, slot: &Slot, at: usize) -> i64 {
        // SAFETY: as the caller says.
        with_type!(slot.dtype, T => unsafe { self.read::<T>(slot, at, 1) }[0].wide())
    }
}
