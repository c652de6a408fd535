// reduce_columns.glsl: the end of the matrix-vector kernels: sums over the workgroup, then the store.
//
// Each invocation brings SUMS = ROWS * COLS partial sums. The order of additions follows from the sizes of workgroup
// and subgroup alone, so a column's result does not depend on how many columns there are. Correct for every subgroup
// size from 4 up; one subgroup per workgroup is the fast case.
#ifndef LIB_REDUCE_COLUMNS_GLSL
#define LIB_REDUCE_COLUMNS_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

shared float subgroup_sums[(WORKGROUP + 3u) / 4u * SUMS];

void store_pair(uint i, uint first, float gate, float up)
{
    const uint col = i % COLS, row = first + i / COLS;
    if (col < args.n_cols && row < args.rows)
        store_output(col, row, glu((args.flags & FLAG_GELU) != 0u, gate, up));
}

// Sum i of the workgroup, after all subgroups have left theirs.
float sum_of(uint i)
{
    precise float sum = subgroup_sums[i];
    for (uint s = 1u; s < gl_NumSubgroups; s++)
        sum += subgroup_sums[s * SUMS + i];
    return sum;
}

// acc: this invocation's parts; sum i belongs to column i % COLS of row i / COLS. First output: `first`, from row0 on.
void store_sums(precise float acc[SUMS], uint first)
{
    float sum[SUMS];
    [[unroll]] for (uint i = 0u; i < SUMS; i++)
        sum[i] = subgroupAdd(acc[i]);
    if (gl_NumSubgroups == 1u && is_glu()) {
        [[unroll]] for (uint i = 0u; i < SUMS / 2u; i++) {
            if (gl_LocalInvocationIndex == i % WORKGROUP)
                store_pair(i, first, sum[i], sum[SUMS / 2u + i]);
        }
        return;
    }
    if (gl_NumSubgroups == 1u) {
        [[unroll]] for (uint i = 0u; i < SUMS; i++) {
            if (gl_LocalInvocationIndex == i % WORKGROUP)
                store_y(i % COLS, first + i / COLS, sum[i]);
        }
        return;
    }
    if (subgroupElect()) {
        [[unroll]] for (uint i = 0u; i < SUMS; i++)
            subgroup_sums[gl_SubgroupID * SUMS + i] = sum[i];
    }
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < SUMS; i += WORKGROUP) {
        if (!is_glu())
            store_y(i % COLS, first + i / COLS, sum_of(i));
        else if (i < SUMS / 2u)
            store_pair(i, first, sum_of(i), sum_of(SUMS / 2u + i));
    }
}

#endif
