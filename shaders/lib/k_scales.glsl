// The 6-bit scales and minima of Q4_K and Q5_K: eight of each in 12 bytes.
//   byte  s     (s < 4)   bits 0..5 scale s             bits 6..7 the two high bits of scale s + 4
//   byte  4 + s (s < 4)   bits 0..5 minimum s           bits 6..7 the two high bits of minimum s + 4
//   byte  8 + s (s < 4)   bits 0..3 low of scale s + 4  bits 4..7 low of minimum s + 4
vec2 k_scale_and_minimum(uvec3 packed, uint s)
{
    const uvec3 bytes = packed >> 8u * (s % 4u) & 255u;
    const uint scale = s < 4u ? bytes.x & 63u : (bytes.z & 15u) | bytes.x >> 6u << 4u;
    const uint minimum = s < 4u ? bytes.y & 63u : bytes.z >> 4u | bytes.y >> 6u << 4u;
    return vec2(scale, minimum);
}
