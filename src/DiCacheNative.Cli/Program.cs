using DiCacheNative.Cli;

Terminal terminal = Terminal.OfProcess();

// Nobody can catch what another thread throws: without this it would be a trace and an abort. First of all, so that it holds while the
// commands are made.
AppDomain.CurrentDomain.UnhandledException += (_, e) =>
    Environment.Exit(CommandLine.Tell(
        terminal, e.ExceptionObject as Exception ?? new InvalidOperationException("something that is no exception was thrown"), signal: 0));
return await CommandLine.MainAsync(args, terminal);
