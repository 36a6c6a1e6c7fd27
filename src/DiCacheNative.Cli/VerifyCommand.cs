using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using DiCacheNative.Backends;
using DiCacheNative.Cli.Verify;

namespace DiCacheNative.Cli;

/// <summary>dicache verify: golden cases on a backend.</summary>
internal static class VerifyCommand
{
    public static Command Create(Terminal terminal)
    {
        Argument<string> folder = new("DIR") { Description = "folder of golden cases, or of one family or case in it" };
        Option<string> model = Opt.Name("--model", ["-m"], "DIR", "model folder for pipeline cases; default: beside the golden data");
        Option<bool> json = Opt.Flag("--json", "one JSON object on standard output");
        Option<bool> all = Opt.Flag("--all", "print every tensor of a case, not only the one closest to its gate");
        Command command = new("verify", "Runs golden cases and compares every tensor and decision; exit code 0 only if all pass.") { folder, model, json, all };
        BackendOptions backends = new(command);
        command.SetAction((result, cancel) =>
        {
            IReadOnlyList<GoldenCase> cases = GoldenFolder.Discover(result.GetValue(folder)!, result.GetValue(model));

            if (result.Given(model) && !cases.Any(c => c.UsesModel))
            {
                terminal.Note($"{model.Name} has no effect: none of these cases runs a whole pipeline");
            }

            if (result.GetValue(all) && result.GetValue(json))
            {
                terminal.Note($"{all.Name} has no effect with {json.Name}, which names every tensor");
            }

            // Golden values are binary32: on a GPU too, unless another precision is asked for.
            using IBackend backend = backends.Create(result, terminal, backends.Precision(result) == BackendPrecision.Auto ? BackendPrecision.F32 : null);
            bool asJson = result.GetValue(json);
            List<VerifyResult> results = [];
            foreach (GoldenCase item in cases)
            {
                cancel.ThrowIfCancellationRequested();
                VerifyResult outcome = item.Run(backend);
                results.Add(outcome);
                if (!asJson)
                {
                    Print(terminal, outcome, result.GetValue(all));
                }
            }

            int passed = results.Count(r => r.Passed), failed = results.Count - passed;
            if (asJson)
            {
                terminal.WriteJson(new JsonObject
                {
                    ["backend"] = backend.Name,
                    ["device"] = backend.Description,
                    ["cases"] = JsonReport.List(results, r => new JsonObject
                    {
                        ["name"] = r.Name,
                        ["passed"] = r.Passed,
                        ["decisions_match"] = r.DecisionsMatch,
                        ["first_difference"] = r.Decisions,
                        ["max_abs"] = r.Worst?.MaxAbs,
                        ["gate"] = r.Worst?.Gate,
                        ["gaps"] = JsonReport.List(r.Gaps),
                        ["tensors"] = JsonReport.List(r.Comparisons, c => new JsonObject { ["name"] = c.Name, ["max_abs"] = c.MaxAbs, ["gate"] = c.Gate }),
                    }),
                    ["passed"] = passed,
                    ["failed"] = failed,
                    ["notes"] = JsonReport.List(terminal.Notes),
                });
            }
            else
            {
                terminal.Write(string.Create(CultureInfo.InvariantCulture, $"{passed} passed, {failed} failed; {backend.Description}"));
            }

            return Task.FromResult(failed == 0 ? CommandLine.Ok : CommandLine.Failed);
        });
        return command;
    }

    private static void Print(Terminal terminal, VerifyResult result, bool all)
    {
        Comparison? worst = result.Worst;
        string decisions = result.DecisionsMatch ? "decisions equal" : "decisions differ at " + result.Decisions;
        string error = worst is null ? "nothing to compare" : string.Create(CultureInfo.InvariantCulture,
            $"max error {worst.MaxAbs:0.0e+00} of gate {worst.Gate:0.0e+00} in {worst.Name}");
        terminal.Write($"{(result.Passed ? "pass" : "FAIL")}  {result.Name}: {error}; {decisions}");
        foreach (string gap in all ? result.Gaps : result.Gaps.Take(3))
        {
            terminal.Write($"      FAIL {gap}");
        }

        if (!all && result.Gaps.Count > 3)
        {
            terminal.Write($"      FAIL and {result.Gaps.Count - 3} more like these (--all shows them)");
        }

        foreach (Comparison c in result.Comparisons.Where(c => all || !c.Passed))
        {
            terminal.Write(string.Create(CultureInfo.InvariantCulture,
                $"      {(c.Passed ? "ok  " : "FAIL")} {c.Name}: {c.MaxAbs:0.00e+00} of {c.Gate:0.0e+00}"));
        }
    }
}
