// Pictures over HTTP, one at a time, a short queue, work that ends when the caller leaves: Endpoint [model folder] [--urls http://127.0.0.1:5080]
//   curl 'http://127.0.0.1:5080/image?prompt=a%20green%20star' -o star.png
using DiCacheNative;
using DiCacheNative.Imaging;
using Microsoft.AspNetCore.RateLimiting;

string model = args.Length > 0 && !args[0].StartsWith('-') ? args[0] : "models/shapes-flux";
WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.Services.AddSingleton(_ => Engine.Load(model, new EngineOptions { Log = Console.Error.WriteLine }));
builder.Services.AddRateLimiter(limits =>
{
    limits.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
    limits.AddConcurrencyLimiter("one", one => (one.PermitLimit, one.QueueLimit) = (1, 3));
});
WebApplication app = builder.Build();
app.UseRateLimiter();
app.MapGet("/image", async (string prompt, ulong? seed, Engine engine, CancellationToken gone) =>
{
    try
    {
        GenerationRequest request = new() { Prompt = prompt, Seed = seed, Cache = CacheOptions.DiCache() };
        GenerationResult result = await engine.GenerateAsync(request, cancellationToken: gone);
        MemoryStream png = new();
        result.Images[0].Encode(png, ImageFormat.Png);
        return Results.Bytes(png.ToArray(), "image/png");
    }
    catch (ArgumentException e)
    {
        return Results.BadRequest(e.Message);
    }
}).RequireRateLimiting("one");

// The engine is disposed with the container: it cancels what still runs and waits for it.
app.Services.GetRequiredService<Engine>();
app.Run();
