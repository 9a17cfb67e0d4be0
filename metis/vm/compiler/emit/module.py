"""All regions of a contract, and what they share, as one LLVM module."""

from __future__ import annotations

from metis.vm.compiler.emit.function import FunctionEmitter
from metis.vm.compiler.opcodes import OpcodeTable
from metis.vm.compiler.regions import Region

__all__ = ["emit_module"]

_DECLARATIONS = """\
declare i256 @llvm.bswap.i256(i256)
declare i160 @llvm.bswap.i160(i160)
declare i256 @llvm.ctlz.i256(i256, i1)

; The word of call data at an offset where fewer than 32 bytes follow.
define internal void @call_data_tail(ptr %out, ptr %data, i64 %length, i256 %offset) #3 {
entry:
  store i256 0, ptr %out, align 8
  %wide_length = zext i64 %length to i256
  %is_outside = icmp uge i256 %offset, %wide_length
  br i1 %is_outside, label %done, label %begin
begin:
  %start = trunc i256 %offset to i64
  %count = sub i64 %length, %start
  br label %copy
copy:
  %index = phi i64 [ 0, %begin ], [ %next, %copy ]
  %from = add i64 %start, %index
  %source = getelementptr inbounds i8, ptr %data, i64 %from
  %byte = load i8, ptr %source, align 1
  %position = sub i64 31, %index
  %target = getelementptr inbounds i8, ptr %out, i64 %position
  store i8 %byte, ptr %target, align 1
  %next = add i64 %index, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %copy, label %done
done:
  ret void
}
"""

_ATTRIBUTES = """\
attributes #0 = { nounwind noimplicitfloat "no-builtins" }
attributes #1 = { nounwind willreturn memory(argmem: readwrite) }
attributes #2 = { nounwind }
attributes #3 = { nounwind noinline cold noimplicitfloat "no-builtins" }

!0 = !{}
!1 = !{!"branch_weights", i32 1, i32 2000}
!2 = !{!"branch_weights", i32 2000, i32 1}
!3 = !{!7, !7, i64 0}
!4 = !{!8, !8, i64 0}
!5 = !{!9, !9, i64 0}
!6 = !{!10, !10, i64 0}
!7 = !{!"context", !11}
!8 = !{!"stack", !11}
!9 = !{!"memory", !11}
!10 = !{!"call", !11}
!11 = !{!"metis"}
"""


def emit_module(regions: list[Region], table: OpcodeTable, code_size: int, dynamic_targets: frozenset[int]) -> str:
    """Return the module's LLVM IR."""
    region_of_entry = {
        item.node.pc: region.index for region in regions for item in region.nodes if item.node.is_external
    }
    targets = sorted(dynamic_targets)
    parts = [_DECLARATIONS]
    for region in regions:
        parts += FunctionEmitter(region, table, code_size, region_of_entry, targets).emit()
        parts.append("")
    parts.append(_ATTRIBUTES)
    return "\n".join(parts)
