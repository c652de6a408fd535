// step_begin.comp: takes the host's step block over into device memory and says how many workgroups attention needs.
// One workgroup.
//   host, step  StepHeader, then max_cols StepColumn; only the header's n_cols columns are copied
//   groups      uint32 [3]: n_pieces, n_kv_heads, n_cols
// n_pieces is computed here, from the positions, whatever the host has put in its header.
// Tuning: WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/step.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { StepBeginArgs args; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer StepHeaderAt { StepHeader v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer StepColumnAt { StepColumn v; };

shared uint highest[(WORKGROUP + 3) / 4];

void main()
{
    const StepHeader header = step_header(args.host);
    const uint n_cols = min(header.n_cols, args.max_cols);
    uint end = 0; // one past the last position

    for (uint c = gl_LocalInvocationIndex; c < n_cols; c += WORKGROUP) {
        const StepColumn column = step_column(args.host, c);
        StepColumnAt(args.step + uint64_t(16u + c * 16u)).v = column;
        end = max(end, column.position + 1u);
    }
    end = subgroupMax(end);
    if (subgroupElect())
        highest[gl_SubgroupID] = end;
    barrier();
    if (gl_LocalInvocationIndex != 0)
        return;
    for (uint i = 0; i < gl_NumSubgroups; i++)
        end = max(end, highest[i]);

    const uint n_pieces = (end + (KV_PAGE - 1u)) / KV_PAGE;
    StepHeaderAt(args.step).v = StepHeader(n_cols, n_pieces, header.reserved0, header.reserved1);
    store_u32(args.groups, 0, n_pieces);
    store_u32(args.groups, 4, args.n_kv_heads);
    store_u32(args.groups, 8, n_cols);
}
