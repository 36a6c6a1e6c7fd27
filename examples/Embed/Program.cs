// One picture from a prompt: Embed [model folder] [output file]
using DiCacheNative;
using DiCacheNative.Imaging;

string model = args.Length > 0 ? args[0] : "models/shapes-flux", output = args.Length > 1 ? args[1] : "star.png";
using Engine engine = Engine.Load(model, new EngineOptions { Log = Console.Error.WriteLine });
GenerationResult result = await engine.GenerateAsync(
    new GenerationRequest { Prompt = "a green star", Steps = 30, Seed = 42, Cache = CacheOptions.DiCache() },
    new Progress<GenerationProgress>(p => Console.Error.WriteLine($"{p.Step} of {p.Steps}: {p.Decision}")));
result.Images[0].Save(output);
Console.WriteLine($"{result.Cache.Full} full, {result.Cache.Resume} resumed, {result.Cache.Skip} skipped, {result.Times.Denoise:0} ms");
