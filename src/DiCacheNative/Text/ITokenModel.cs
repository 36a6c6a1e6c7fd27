namespace DiCacheNative.Text;

/// <summary>The vocabulary and the rule by which a piece of text becomes tokens.</summary>
internal interface ITokenModel
{
    /// <summary>One more than the largest id of the vocabulary.</summary>
    int Size { get; }

    /// <summary>The id of a token, or null.</summary>
    int? Find(string token);

    /// <summary>Adds the ids of a piece that is not empty.</summary>
    /// <param name="piece">The piece.</param>
    /// <param name="ids">Where the ids go.</param>
    /// <param name="budget">What the text may cost.</param>
    void Encode(string piece, List<int> ids, TextBudget budget);
}
