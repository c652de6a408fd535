// last.glsl: which of several workgroups is done last, so that it can go on with what all of them have written, and no
// dispatch of its own is needed for that.
//
// A workgroup writes, then counts itself; the one that makes the count `total` sees what the others wrote, and sets the
// count to zero for the next dispatch. Nobody waits for anybody. Which workgroup is last differs from run to run, so
// what it does must not depend on that. What is handed over goes through the coherent references Shared*: another one's
// results may lie next to something that this workgroup has read, in the same line of a cache.
// ONE_SUBGROUP: a workgroup is a subgroup; without a barrier() in the code CPU drivers need not be able to switch.
#ifndef LIB_LAST_GLSL
#define LIB_LAST_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require

#include "lib/global.glsl"

#if !ONE_SUBGROUP
shared uint count_before;
#endif

// Called by every invocation of the workgroup, and true for all or none of them.
bool last_of(uint64_t counter, uint total)
{
    uint before = 0u;
    memoryBarrierBuffer();
#if !ONE_SUBGROUP
    if (gl_NumSubgroups > 1u) {
        barrier();
        if (gl_LocalInvocationIndex == 0u)
            count_before = atomicAdd(SharedU32(counter).v, 1u);
        barrier();
        before = count_before;
    } else
#endif
    {
        subgroupBarrier();
        if (subgroupElect())
            before = atomicAdd(SharedU32(counter).v, 1u);
        before = subgroupBroadcastFirst(before);
    }
    memoryBarrierBuffer();
    if (before + 1u != total)
        return false;
    if (subgroupElect() && gl_SubgroupID == 0u)
        SharedU32(counter).v = 0u;
    return true;
}

#endif
