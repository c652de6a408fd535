// reduce.glsl: sums and maxima over a workgroup, for every workgroup size and every subgroup size from 4 up.
//
// Every invocation of the workgroup must arrive, and gets the same result. The order of the sum depends on the subgroup
// size and nothing else. Needs the constant WORKGROUP (its size).
#ifndef LIB_REDUCE_GLSL
#define LIB_REDUCE_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

shared float reduce_parts[(WORKGROUP + 3) / 4]; // one per subgroup

float workgroup_sum(float x)
{
    const float part = subgroupAdd(x);
    if (gl_NumSubgroups == 1)
        return part;
    barrier(); // the last reduction's parts have been read
    if (subgroupElect())
        reduce_parts[gl_SubgroupID] = part;
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < gl_NumSubgroups; i++)
        sum += reduce_parts[i];
    return sum;
}

float workgroup_max(float x)
{
    const float part = subgroupMax(x);
    if (gl_NumSubgroups == 1)
        return part;
    barrier();
    if (subgroupElect())
        reduce_parts[gl_SubgroupID] = part;
    barrier();
    float highest = reduce_parts[0];
    for (uint i = 1; i < gl_NumSubgroups; i++)
        highest = max(highest, reduce_parts[i]);
    return highest;
}

#endif
