using System.CommandLine;
using DiCacheNative.Cli;

RootCommand root = new("Runs diffusion transformers (FLUX.1, WAN 2.1) natively, with DiCache built in.")
{
    GenerateCommand.Create(),
    VerifyCommand.Create(),
    DevicesCommand.Create(),
    InspectCommand.Create(),
    BenchCommand.Create(),
};
return await CommandLine.RunAsync(root, args);
