package harness

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Bin is the folder of the built programs.
var Bin string

// programs is the variable of the environment that names a folder in which all programs are
// built already. scripts/test.sh sets it, so that each program is built once for all packages.
const programs = "TEST_PROGRAMS"

// Build makes sure that programs are in Bin. Packages are paths relative to the root of the module.
// clean removes the programs that Build has built.
func Build(packages ...string) (clean func()) {
	if Bin = os.Getenv(programs); Bin != "" {
		for _, pkg := range packages {
			mustExist(filepath.Base(pkg))
		}
		return func() {}
	}
	dir, err := os.MkdirTemp("", "kyu-bin-")
	if err != nil {
		panic(err)
	}
	Bin = dir
	build(append([]string{"-o", dir}, packages...)...)
	return func() { os.RemoveAll(dir) }
}

// BuildAs makes sure that a program with build tags is in Bin, under a name of its own.
func BuildAs(name, tags, pkg string) {
	if os.Getenv(programs) != "" {
		mustExist(name)
		return
	}
	build("-tags", tags, "-o", filepath.Join(Bin, name), pkg)
}

func build(args ...string) {
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build %v: %v\n%s", args, err, out)
		os.Exit(1)
	}
}

func mustExist(name string) {
	if _, err := os.Stat(filepath.Join(Bin, name)); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s must hold all programs: see scripts/test.sh\n", err,
			programs)
		os.Exit(1)
	}
}

// Program is the path of a built program.
func Program(name string) string { return filepath.Join(Bin, name) }

// Parallel sets how many tests with t.Parallel run at once, unless the command line says it. It
// is called before the tests run. Tests of processes wait most of the time, so more of them can
// run at once than there are cores.
func Parallel(n int) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(n))
	}
}

// Root is the folder of the module. A test runs in the folder of its package.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
