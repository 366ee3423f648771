// Energies and forces: one module per model, compiled after model.hpp (acepair/gpu/source.py), which says what is known of the model.
#include "edges.cu"
#include "pool.cu"
#include "products.cu"
#include "backward.cu"
#include "forces.cu"
