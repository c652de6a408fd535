// softcap.glsl: cap * tanh(x / cap) for attention scores, with a tanh that is accurate on every driver.
#ifndef LIB_SOFTCAP_GLSL
#define LIB_SOFTCAP_GLSL

float softcap(float x, float cap)
{
    const float t = x / cap, a = abs(t), z = t * t;
    if (a < 0.2) // its series; the next term is 4e-8 of the result
        return x * (1.0 + z * (-1.0 / 3.0 + z * (2.0 / 15.0 + z * (-17.0 / 315.0))));
    const float e = exp(-2.0 * min(a, 40.0));
    return sign(x) * cap * ((1.0 - e) / (1.0 + e));
}

#endif
