package rectify_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the tutorial says is done here, word by word, as a new user would.
func TestTheTutorialIsTrue(t *testing.T) {
	t.Parallel()
	sdk, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(sdk, "../../docs/providers/write-one-in-go.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(sh|go \\S+)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("only %d blocks", len(blocks))
	}
	script := "set -eu\n"
	for _, block := range blocks {
		if file := strings.TrimPrefix(block[1], "go "); file != block[1] {
			script += "cat > " + file + " <<'END_OF_FILE'\n" + block[2] + "END_OF_FILE\n"
		} else {
			script += strings.ReplaceAll(block[2], "~/rectify/sdk/go", "'"+sdk+"'")
		}
	}
	script += "test -z \"$(gofmt -l main.go main_test.go)\"\n"
	command := exec.Command("/bin/sh", "-c", script)
	command.Dir = t.TempDir()
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, said := range []string{"motd 0.1.0", `"name": "motd.file"`, "14 checks passed", "ok  \tmotd"} {
		if !strings.Contains(string(out), said) {
			t.Fatalf("%q is not in\n%s", said, out)
		}
	}
}
