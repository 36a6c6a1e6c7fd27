// A sampler of your own, Heun's method, with the cache below it: OwnSampler [model folder] [output file]
using DiCacheNative;
using DiCacheNative.Imaging;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;

string model = args.Length > 0 ? args[0] : "models/shapes-flux", output = args.Length > 1 ? args[1] : "heun.png";
const int Grid = 8, Steps = 12;
using Engine engine = Engine.Load(model);
FluxPipeline pipeline = (FluxPipeline)engine.Pipeline;
(float[] pooled, float[] states, int tokens) = pipeline.EncodePrompt("a red circle left of a blue square");

// Noise levels 1 ... 0; the session is told those of all model calls in order: two for each step, and one for the last.
float[] levels = [.. pipeline.CreateSampler(Steps, Grid * Grid).Sigmas];
float[] calls = [.. Enumerable.Range(0, Steps).SelectMany(i => i + 1 < Steps ? new[] { levels[i], levels[i + 1] } : [levels[i]])];
using FluxProgram program = pipeline.Transformer.CreateProgram(new FluxShape(Batch: 1, Grid, Grid, tokens, MaxSteps: calls.Length));
program.SetConditions(slot: 0, states, pooled, guidance: []);
using DiTSession session = new(program, CacheOptions.DiCache());
session.Begin(calls);

float[] x = pipeline.Noise(new GenerationRequest { Prompt = string.Empty }, seed: 1, Grid, Grid);
float[] predicted = new float[x.Length], v1 = new float[x.Length], v2 = new float[x.Length];
for (int i = 0; i < Steps; i++)
{
    float h = levels[i + 1] - levels[i];
    session.Step(x, levels[i], branch: 0, v1);
    if (i + 1 == Steps)
    {
        v1.CopyTo(v2, 0);
    }
    else
    {
        for (int k = 0; k < x.Length; k++)
        {
            predicted[k] = x[k] + (h * v1[k]);
        }

        session.Step(predicted, levels[i + 1], branch: 0, v2);
    }

    for (int k = 0; k < x.Length; k++)
    {
        x[k] += h * 0.5f * (v1[k] + v2[k]);
    }
}

pipeline.Decode(x, batch: 1, Grid, Grid).ToImage(0).Save(output);
Console.WriteLine($"{session.Stats.Calls} model calls, {session.Stats.Skip} of them skipped");
