# ./build.ps1 setup | build | test | demo | pack | aot | format      The work is in build.proj, shared with build.sh.
param([ValidateSet('setup', 'build', 'test', 'demo', 'pack', 'aot', 'format')][string]$Verb = 'build')
$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'; $env:DOTNET_NOLOGO = '1'
if (-not (Get-Command dotnet -ErrorAction SilentlyContinue)) { Write-Error 'build.ps1: the .NET SDK was not found: install .NET 10 and put dotnet on the PATH.' }
$target = (Get-Culture).TextInfo.ToTitleCase($Verb)
dotnet msbuild build.proj -nologo -v:m "-t:$target"
exit $LASTEXITCODE
