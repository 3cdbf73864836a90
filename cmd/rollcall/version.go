package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintf(e.out, "rollcall %s%s %s %s/%s\n", versionText(), built(), runtime.Version(), runtime.GOOS,
		runtime.GOARCH)
	return err
}

// What the linker sets: -X main.version=v1.2.3 -X main.commit=… -X main.date=2026-11-30.
var version, commit, date string

// versionText is the version, or what the build knows of it.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// built is the commit that the program was built from, and its date, as far as known.
func built() string {
	of, at := commit, date
	if info, ok := debug.ReadBuildInfo(); ok && of == "" {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				of = s.Value
			case "vcs.time":
				at, _, _ = strings.Cut(s.Value, "T")
			}
		}
	}
	if of == "" || at == "" {
		return ""
	}
	return fmt.Sprintf(" (%.12s, %s)", of, at)
}
