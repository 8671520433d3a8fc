// Read once for all sources.
#pragma once
#include <ATen/ATen.h>
#include <node_api.h>
