using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.HunyuanVideo;

/// <content>
/// The blocks. Everything after q, k and v is local to a row but for what it attends to, and is done for one run of rows after another; the
/// text is a run of its own.
/// </content>
public sealed partial class HunyuanProgram
{
    /// <summary>Block of the token refiner: attention among the valid text tokens, feed-forward, both gated.</summary>
    private void RefinerBlock(int index)
    {
        IBackend b = Backend;
        HunyuanRefinerWeights w = _weights.Refiner[index];
        HunyuanRefinerGates gates = _modulation.Refiner[index];
        Scratch s = ScratchRows(_shape.TextTokens);

        b.LayerNormModulate(_text, w.FirstNorm, s.Norm);                        // [B, L, D]
        b.Linear(s.Norm, w.Qkv, Rows(_a.Qkv, TextRows));                        // [B, L, 3 D]
        RefinerAttention(s.Attention);
        b.Linear(s.Attention, w.Projection, s.Branch);
        b.GatedResidual(_text, s.Branch, gates.Attention, _text, new ResidualExtras(new NextNorm(w.SecondNorm, s.Norm)));
        b.Linear(s.Norm, w.Up, s.Mlp, Epilogue.Silu);
        b.Linear(s.Mlp, w.Down, s.Branch);
        b.GatedResidual(_text, s.Branch, gates.Mlp, _text);
        ObserveBlock("txt_in.refiner", index, string.Empty, _text);
    }

    /// <summary>
    /// Double-stream block: image and text keep separate weights, attention is joint. The image stream is read from one place and written to
    /// another, so that x0 and p stay untouched where they are needed later.
    /// </summary>
    private void DoubleBlock(int index, in Tensor imageIn, in Tensor imageOut, in ResidualExtras extras)
    {
        IBackend b = Backend;
        HunyuanDoubleWeights w = _weights.Double[index];
        HunyuanStreamModulation mi = _modulation.Image[index], mt = _modulation.Text[index];
        ObserveModulation("double", index, ".img_mod", mi.Attention.Shift, parts: 6);
        ObserveModulation("double", index, ".txt_mod", mt.Attention.Shift, parts: 6);
        foreach ((int Start, int Count) rows in _chunks)
        {
            Project(Rows(imageIn, rows), mi.Attention, w.Image.Qkv, rows);
        }

        Project(_text, mt.Attention, w.Text.Qkv, TextRows);
        b.QkNormRope(_qImage, _kImage, w.Image.Norm, _a.Rope, _config.Heads);
        b.QkNormRope(_qText, _kText, w.Text.Norm, default, _config.Heads);

        foreach ((int Start, int Count) rows in _chunks)
        {
            AttendAndFeed(Rows(imageIn, rows), Rows(_image, rows), w.Image, mi, rows, index, "img");
        }

        AttendAndFeed(_text, _text, w.Text, mt, TextRows, index, "txt");
        b.GatedResidual(_image, _qImage, mi.MlpGate, imageOut, extras);
        b.GatedResidual(_text, _qText, mt.MlpGate, _text);
        ObserveBlock("double", index, ".img", imageOut);
        ObserveBlock("double", index, ".txt", _text);
    }

    /// <summary>Single-stream block: one sequence, attention and feed-forward side by side, one projection for both.</summary>
    private void SingleBlock(int index, in ResidualExtras imageExtras)
    {
        IBackend b = Backend;
        HunyuanSingleWeights w = _weights.Single[index];
        HunyuanSingleModulation m = _modulation.Single[index];
        ObserveModulation("single", index, ".modulation", m.Norm.Shift, parts: 3);
        foreach ((int Start, int Count) rows in _jointChunks)
        {
            Project(Rows(_a.Joint, rows), m.Norm, w.Qkv, rows);
        }

        b.QkNormRope(_q, _k, w.Norm, _a.Rope, _config.Heads);
        foreach ((int Start, int Count) rows in _jointChunks)
        {
            Scratch s = ScratchRows(rows.Count);
            Attend(rows, s.Attention);
            b.LayerNormModulate(Rows(_a.Joint, rows), m.Norm, s.Norm);          // again: cheaper than to keep it for all rows
            b.Linear(s.Norm, w.Up, s.Mlp, Epilogue.GeluTanh);                   // beside the attention: [B, R, D + F]
            b.Linear(s.AttentionAndMlp, w.Out, Rows(_q, rows));                 // nobody asks for these queries any more
        }

        ObserveBlock("single", index, ".linear2", _q);
        if (imageExtras.Residual.IsEmpty)
        {
            b.GatedResidual(_a.Joint, _q, m.Gate, _a.Joint);
        }
        else
        {
            b.GatedResidual(_text, _qText, m.Gate, _text);
            b.GatedResidual(_image, _qImage, m.Gate, _image, imageExtras);
        }

        ObserveBlock("single", index, string.Empty, _a.Joint);
    }

    private (int Start, int Count) TextRows => (_shape.ImageTokens, _shape.TextTokens);

    private static Tensor Rows(in Tensor x, (int Start, int Count) rows) => x.SliceRows(rows.Start, rows.Count);

    private void Project(in Tensor x, in Modulation modulation, LinearWeight qkv, (int Start, int Count) rows)
    {
        Tensor norm = _a.Norm.SliceRows(0, rows.Count);
        Backend.LayerNormModulate(x, modulation, norm);                         // [B, R, D]
        Backend.Linear(norm, qkv, Rows(_a.Qkv, rows));                          // [B, R, 3 D]
    }

    // Attention and feed-forward of a run of rows of a stream; what the feed-forward gives is left where the queries were.
    private void AttendAndFeed(
        in Tensor xIn, in Tensor x, HunyuanStreamWeights w, in HunyuanStreamModulation m, (int Start, int Count) rows, int index, string stream)
    {
        IBackend b = Backend;
        Scratch s = ScratchRows(rows.Count);
        Attend(rows, s.Attention);                                              // [B, R, D]
        b.Linear(s.Attention, w.Projection, s.Branch);
        ObserveFirst(index, stream, "_attn_proj", s.Branch, rows);
        b.GatedResidual(xIn, s.Branch, m.AttentionGate, x, new ResidualExtras(new NextNorm(m.Mlp, s.Norm)));
        b.Linear(s.Norm, w.Up, s.Mlp, Epilogue.GeluTanh);                       // [B, R, F]
        b.Linear(s.Mlp, w.Down, Rows(_q, rows));
        ObserveFirst(index, stream, "_mlp", Rows(_q, rows), rows);
    }

    // Rows of the joint sequence up to the last valid text token attend to each other, the padding behind to itself.
    private void Attend((int Start, int Count) rows, in Tensor into)
    {
        foreach (TextRun run in _textRuns[_slot])
        {
            int end = _shape.ImageTokens + run.Valid, real = Math.Clamp(end - rows.Start, 0, rows.Count);
            Attend(run, (rows.Start, real), (0, end), into.SliceRows(0, real));
            Attend(run, (rows.Start + real, rows.Count - real), (end, _shape.Tokens - end), into.SliceRows(real, rows.Count - real));
        }
    }

    // Valid text tokens attend to each other; the padding to the first token alone, the only key that its mask leaves.
    private void RefinerAttention(in Tensor into)
    {
        int first = _shape.ImageTokens, tokens = _shape.TextTokens;
        foreach (TextRun run in _textRuns[_slot])
        {
            Attend(run, (first, run.Valid), (first, run.Valid), into.SliceRows(0, run.Valid));
            Attend(run, (first + run.Valid, tokens - run.Valid), (first, 1), into.SliceRows(run.Valid, tokens - run.Valid));
        }
    }

    private void Attend(in TextRun run, (int Start, int Count) queries, (int Start, int Count) keys, in Tensor into)
    {
        if (queries.Count > 0)
        {
            Tensor q = _q.SliceBatch(run.Start, run.Count), k = _k.SliceBatch(run.Start, run.Count), v = _v.SliceBatch(run.Start, run.Count);
            Backend.Attention(Rows(q, queries), Rows(k, keys), Rows(v, keys), into.SliceBatch(run.Start, run.Count), _config.Heads, _softmaxScale);
        }
    }

    private Scratch ScratchRows(int count)
    {
        Tensor wide = _a.AttentionAndMlp.SliceRows(0, count);
        return new Scratch(_a.Norm.SliceRows(0, count), _a.Branch.SliceRows(0, count), wide, wide.SliceCols(0, Width), wide.SliceCols(Width, _config.MlpWidth));
    }

    // All parts of a block's modulation lie side by side, its first shift first.
    private void ObserveModulation(string kind, int index, string part, in Tensor first, int parts) =>
        ObserveBlock(kind, index, part, first with { Cols = parts * first.Cols });

    private void ObserveBlock(string kind, int index, string part, in Tensor value)
    {
        if (Observer is not null)
        {
            Observe($"{kind}.{index}{part}", value);
        }
    }

    private void ObserveFirst(int index, string stream, string part, in Tensor value, (int Start, int Count) rows)
    {
        if (Observer is not null && index == 0 && (_chunks.Length == 1 || rows == TextRows))
        {
            Observe($"double.0.{stream}{part}", value);
        }
    }

    /// <summary>Activations of a run of R rows: [B, R, D] but for the feed-forward.</summary>
    private readonly record struct Scratch(Tensor Norm, Tensor Branch, Tensor AttentionAndMlp, Tensor Attention, Tensor Mlp);
}
