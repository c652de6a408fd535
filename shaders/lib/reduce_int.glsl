// reduce_int.glsl: integer sums, minima and maxima over a workgroup, for every workgroup size and every subgroup size
// from 4 up. Every invocation of the workgroup must arrive, and gets the same result. Needs the constant WORKGROUP.
#ifndef LIB_REDUCE_INT_GLSL
#define LIB_REDUCE_INT_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

struct Sums {
    uint64_t a, b;
};

shared Sums int_parts[(WORKGROUP + 3) / 4]; // one per subgroup
shared Sums int_result;

// Below 2^62, by thirds: 64-bit subgroup operations are not everywhere, and at most 128 invocations add 25 bits.
uint64_t subgroup_sum64(uint64_t x)
{
    const uint low = subgroupAdd(uint(x) & 0x1fffffu), mid = subgroupAdd(uint(x >> 21) & 0x1fffffu);
    const uint high = subgroupAdd(uint(x >> 42));
    return uint64_t(low) + (uint64_t(mid) << 21) + (uint64_t(high) << 42);
}

Sums workgroup_sum64_2(Sums x)
{
    const Sums part = Sums(subgroup_sum64(x.a), subgroup_sum64(x.b));
    if (gl_NumSubgroups == 1)
        return part;
    if (subgroupElect())
        int_parts[gl_SubgroupID] = part;
    barrier();
    if (gl_SubgroupID == 0) {
        Sums sum = Sums(0ul, 0ul);
        for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
            sum = Sums(sum.a + int_parts[i].a, sum.b + int_parts[i].b);
        sum = Sums(subgroup_sum64(sum.a), subgroup_sum64(sum.b));
        if (subgroupElect())
            int_result = sum;
    }
    barrier(); // also: the parts have been read
    return int_result;
}

uint64_t workgroup_sum64(uint64_t x)
{
    return workgroup_sum64_2(Sums(x, 0ul)).a;
}

uint workgroup_max_uint(uint x)
{
    const uint part = subgroupMax(x);
    if (gl_NumSubgroups == 1)
        return part;
    if (subgroupElect())
        int_parts[gl_SubgroupID].a = uint64_t(part);
    barrier();
    if (gl_SubgroupID == 0) {
        uint highest = 0u;
        for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
            highest = max(highest, uint(int_parts[i].a));
        highest = subgroupMax(highest);
        if (subgroupElect())
            int_result.a = uint64_t(highest);
    }
    barrier();
    return uint(int_result.a);
}

uint workgroup_min_uint(uint x)
{
    return ~workgroup_max_uint(~x);
}

#endif
