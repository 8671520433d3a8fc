// One exporter per family of operations; addon.cc calls them all.
#pragma once
#include "../binding.h"

namespace tfjs_torch {

void exportStorage(Exports& exports);
void exportUnary(Exports& exports);
void exportBinary(Exports& exports);
void exportReduce(Exports& exports);
void exportShape(Exports& exports);
void exportIndex(Exports& exports);
void exportMatmul(Exports& exports);
void exportConv(Exports& exports);
void exportPool(Exports& exports);
void exportNorm(Exports& exports);
void exportImage(Exports& exports);
void exportComplex(Exports& exports);
void exportFused(Exports& exports);
void exportFusedNorms(Exports& exports);
void exportOptimizer(Exports& exports);
void exportRandom(Exports& exports);
void exportGraph(Exports& exports);
void exportGroup(Exports& exports);

}  // namespace tfjs_torch
