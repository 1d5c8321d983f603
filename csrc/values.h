// Types of the values of predictions.
#pragma once

namespace dislayers {

enum class Values { uint8, float32, float64 };

}  // namespace dislayers
