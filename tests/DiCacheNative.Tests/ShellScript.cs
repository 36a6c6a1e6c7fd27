namespace DiCacheNative.Tests;

/// <summary>Programs that tests put in the place of others.</summary>
internal static class ShellScript
{
    /// <summary>Writes a program; skips the test where there is no shell.</summary>
    public static void Write(string path, string body)
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("the program is a shell script");
        }
        else
        {
            File.WriteAllText(path, $"#!/bin/sh\n{body}\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }
}
