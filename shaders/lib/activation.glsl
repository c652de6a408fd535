// activation.glsl: act(gate) * up, act SiLU or GELU (tanh form), the same bits wherever it is computed.
//
// Both activations are written with one exponential of a bounded argument: x / (1 + exp(-x)), and, as tanh is a scaled
// logistic function, GELU likewise. The built-in tanh is too inaccurate on some drivers.
#ifndef LIB_ACTIVATION_GLSL
#define LIB_ACTIVATION_GLSL

// x * logistic(z); exp stays finite, and its quotient is then too small to matter.
float gated(float x, float z)
{
    precise float below = 1.0 + exp(min(-z, 80.0));
    precise float y = x / below;
    return y;
}

float glu(bool gelu, float x, float up)
{
    precise float cubic = 0.044715 * x * x * x;
    precise float z = gelu ? 1.5957691216 * (x + cubic) : x; // 2 sqrt(2 / pi)
    precise float y = gated(x, z) * up;
    return y;
}

#endif
