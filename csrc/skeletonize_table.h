// Made by skeletonize_table.py: which pixels a sub-iteration removes, by their neighbours, a bit a pixel.
#pragma once

#include "host_device.h"

namespace dislayers {
namespace {

template <typename T>
HOST_DEVICE T removed_first(T NW, T N, T NE, T E, T SE, T S, T SW, T W) {
    const T n0 = N;
    const T n1 = ~SE & n0;
    const T n2 = ~S & n1;
    const T n3 = NW & n2;
    const T n4 = (NW & n1) | (~NW & n2);
    const T n5 = (E & n3) | (~E & n4);
    const T n6 = ~N;
    const T n7 = SE & n6;
    const T n8 = S & n7;
    const T n9 = ~NW & n8;
    const T n10 = E & n9;
    const T n11 = (W & n5) | (~W & n10);
    const T n12 = ~SE;
    const T n13 = S | n12;
    const T n14 = (S & n7) | (~S & n1);
    const T n15 = (NW & n13) | (~NW & n14);
    const T n16 = ~E & n15;
    const T n17 = (W & n16) | (~W & n9);
    const T n18 = (NE & n11) | (~NE & n17);
    const T n19 = ~S & n0;
    const T n20 = NW & n19;
    const T n21 = (E & n20) | (~E & n2);
    const T n22 = ~S | n7;
    const T n23 = (NW & n19) | (~NW & n22);
    const T n24 = (E & n23) | (~E & n2);
    const T n25 = (W & n21) | (~W & n24);
    const T n26 = ~SE & n6;
    const T n27 = (S & n26) | (~S & n1);
    const T n28 = ~E & n27;
    const T n29 = (NW & n2) | (~NW & n27);
    const T n30 = (E & n29) | (~E & n3);
    const T n31 = (W & n28) | (~W & n30);
    const T n32 = (NE & n25) | (~NE & n31);
    const T n33 = (SW & n18) | (~SW & n32);
    return n33;
}

template <typename T>
HOST_DEVICE T removed_second(T NW, T N, T NE, T E, T SE, T S, T SW, T W) {
    const T n0 = E;
    const T n1 = ~W & n0;
    const T n2 = SE & n1;
    const T n3 = ~NW & n2;
    const T n4 = NE & n3;
    const T n5 = NE & n2;
    const T n6 = (SW & n4) | (~SW & n5);
    const T n7 = ~E;
    const T n8 = W & n7;
    const T n9 = ~SE & n8;
    const T n10 = NW & n9;
    const T n11 = ~W | n7;
    const T n12 = (SE & n1) | (~SE & n11);
    const T n13 = (NW & n12) | (~NW & n2);
    const T n14 = (W & n7) | (~W & n0);
    const T n15 = (SE & n1) | (~SE & n14);
    const T n16 = ~NW & n15;
    const T n17 = (NE & n13) | (~NE & n16);
    const T n18 = (SW & n10) | (~SW & n17);
    const T n19 = (S & n6) | (~S & n18);
    const T n20 = (SE & n0) | (~SE & n1);
    const T n21 = ~NW & n20;
    const T n22 = W;
    const T n23 = (SE & n22) | (~SE & n8);
    const T n24 = SE | n11;
    const T n25 = (NW & n23) | (~NW & n24);
    const T n26 = (NE & n21) | (~NE & n25);
    const T n27 = ~NW & n14;
    const T n28 = (NE & n3) | (~NE & n27);
    const T n29 = (SW & n26) | (~SW & n28);
    const T n30 = ~NE & n9;
    const T n31 = (SW & n30) | (~SW & n3);
    const T n32 = (S & n29) | (~S & n31);
    const T n33 = (N & n19) | (~N & n32);
    return n33;
}

}  // namespace
}  // namespace dislayers
