using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>Gives the tensor of a name; an implementation checks the shape.</summary>
internal delegate HostTensor TensorReader(string name, int[] shape);
