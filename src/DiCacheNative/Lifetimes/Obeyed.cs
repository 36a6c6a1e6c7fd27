namespace DiCacheNative.Lifetimes;

/// <summary>
/// The cancellation that operations issued by the calling thread obey. A program sets it around its segments; backends that compute while
/// they are called ask it for every task, so that an operation of many seconds ends within a task of it.
/// </summary>
internal static class Obeyed
{
    [ThreadStatic]
    private static CancellationToken t_token;

    /// <summary>The token; one that is never cancelled outside of a scope.</summary>
    public static CancellationToken Token => t_token;

    /// <summary>Sets the token until the result is disposed, on the same thread.</summary>
    /// <exception cref="OperationCanceledException">It is cancelled already.</exception>
    public static Scope Set(CancellationToken token)
    {
        token.ThrowIfCancellationRequested();
        Scope scope = new(t_token);
        t_token = token;
        return scope;
    }

    /// <summary>A stretch of code with a token of its own.</summary>
    internal readonly struct Scope(CancellationToken outer) : IDisposable
    {
        /// <summary>Puts the outer token back.</summary>
        public void Dispose() => t_token = outer;
    }
}
