using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Flux;

/// <content>The blocks, in the order of the paper. L = text + image tokens, text first.</content>
public sealed partial class FluxProgram
{
    /// <summary>
    /// Double-stream block: image and text keep separate weights, attention is joint. The image stream is read from one place and written to
    /// another, so that x0 and p stay untouched where they are needed later.
    /// </summary>
    private void DoubleBlock(int index, in Tensor imageIn, in Tensor imageOut, in ResidualExtras extras)
    {
        IBackend b = Backend;
        FluxDoubleWeights w = _weights.Double[index];
        StreamModulation mi = _imageModulation[index], mt = _textModulation[index];
        string? name = Observer is null ? null : $"double.{index}.";

        b.LayerNormModulate(imageIn, mi.Attention, _imageNorm);             // [B, Limg, D]
        b.LayerNormModulate(_text, mt.Attention, _textNorm);                // [B, Ltxt, D]
        ObserveNorms(name, mi, mt);
        b.Linear(_textNorm, w.Text.Qkv, _qkvText);                          // text rows first, written in place:
        b.Linear(_imageNorm, w.Image.Qkv, _qkvImage);                       //   no concat exists. [B, L, 3 D]
        b.QkNormRope(_qText, _kText, w.Text.Norm, _ropeText, _config.Heads);
        b.QkNormRope(_qImage, _kImage, w.Image.Norm, _ropeImage, _config.Heads);
        ObserveRotated(name);
        b.Attention(_q, _k, _v, _attention, _config.Heads, _softmaxScale);  // [B, L, D]

        b.Linear(_attentionImage, w.Image.Projection, _imageBranch);
        ObserveBlock(name, "attn.img", _imageBranch);
        b.GatedResidual(imageIn, _imageBranch, mi.AttentionGate, _image, new ResidualExtras(new NextNorm(mi.Mlp, _imageNorm)));
        b.Linear(_imageNorm, w.Image.Up, _mlpImage, Epilogue.GeluTanh);     // [B, Limg, F]
        b.Linear(_mlpImage, w.Image.Down, _imageBranch);
        ObserveBlock(name, "ff.img", _imageBranch);
        b.GatedResidual(_image, _imageBranch, mi.MlpGate, imageOut, extras);

        b.Linear(_attentionText, w.Text.Projection, _textBranch);
        ObserveBlock(name, "attn.txt", _textBranch);
        b.GatedResidual(_text, _textBranch, mt.AttentionGate, _text, new ResidualExtras(new NextNorm(mt.Mlp, _textNorm)));
        b.Linear(_textNorm, w.Text.Up, _mlpText, Epilogue.GeluTanh);
        b.Linear(_mlpText, w.Text.Down, _textBranch);
        ObserveBlock(name, "ff.txt", _textBranch);
        b.GatedResidual(_text, _textBranch, mt.MlpGate, _text);
        ObserveBlock(name, "img", imageOut);
        ObserveBlock(name, "txt", _text);
    }

    /// <summary>Single-stream block: one sequence, attention and feed-forward side by side, one projection for both.</summary>
    private void SingleBlock(int index, in ResidualExtras imageExtras)
    {
        IBackend b = Backend;
        FluxSingleWeights w = _weights.Single[index];
        SingleModulation m = _singleModulation[index];
        string? name = Observer is null ? null : $"single.{index}";

        b.LayerNormModulate(_joint, m.Norm, _norm);                         // [B, L, D]
        ObserveFirst(name, ".norm.x", _norm, index);
        ObserveFirst(name, ".norm.gate", m.Gate, index);
        b.Linear(_norm, w.Qkv, _qkv);
        b.Linear(_norm, w.Up, _mlp, Epilogue.GeluTanh);                     // beside the attention: [B, L, D + F]
        ObserveFirst(name, ".mlp", _mlp, index);
        b.QkNormRope(_q, _k, w.Norm, _rope, _config.Heads);
        b.Attention(_q, _k, _v, _attention, _config.Heads, _softmaxScale);
        ObserveFirst(name, ".attn", _attention, index);
        b.Linear(_attentionAndMlp, w.Out, _branch);                         // [B, L, D]
        if (imageExtras.Residual.IsEmpty)
        {
            b.GatedResidual(_joint, _branch, m.Gate, _joint);
        }
        else
        {
            b.GatedResidual(_text, _textBranch, m.Gate, _text);
            b.GatedResidual(_image, _imageBranch, m.Gate, _image, imageExtras);
        }

        ObserveFirst(name, string.Empty, _joint, 0);
    }

    private void ObserveNorms(string? name, in StreamModulation image, in StreamModulation text)
    {
        if (name != "double.0.")
        {
            return;
        }

        foreach ((string norm, Tensor x, StreamModulation m) in new[] { ("norm1", _imageNorm, image), ("norm1_context", _textNorm, text) })
        {
            Observe($"{name}{norm}.x", x);
            Observe($"{name}{norm}.gate_msa", m.AttentionGate);
            Observe($"{name}{norm}.shift_mlp", m.Mlp.Shift);
            Observe($"{name}{norm}.scale_mlp", m.Mlp.Scale);
            Observe($"{name}{norm}.gate_mlp", m.MlpGate);
        }
    }

    private void ObserveRotated(string? name)
    {
        if (name == "double.0.")
        {
            Observe(name + "attn.rotated_q", _qImage);
            Observe(name + "attn.rotated_k", _kImage);
            Observe(name + "attn.rotated_added_q", _qText);
        }
    }

    private void ObserveBlock(string? name, string part, in Tensor value)
    {
        if (name is not null)
        {
            Observe(name + part, value);
        }
    }

    private void ObserveFirst(string? name, string part, in Tensor value, int index)
    {
        if (name is not null && index == 0)
        {
            Observe(name + part, value);
        }
    }
}
