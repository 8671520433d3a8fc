// Stands in for a header of gloo, which libtorch has in it without its headers.
#pragma once
