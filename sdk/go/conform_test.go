package rectify_test

import (
	"os"
	"os/exec"
	"testing"

	"rectify/provider/providertest"
)

// The conformance kit, on the provider of these tests and on the example.
// RECTIFY_CONFORM names its executable; without it the one that `cargo build` makes
// is taken.
func TestProvidersInGoConform(t *testing.T) {
	t.Parallel()
	kit := os.Getenv("RECTIFY_CONFORM")
	if kit == "" {
		kit = "../../target/debug/rectify-conform"
		if _, err := os.Stat(kit); err != nil {
			t.Skip("the conformance kit is not built")
		}
	}
	const example = "../../examples/providers/go-lines"
	for provider, fixtures := range map[string]string{
		program:                        "testdata/conform.yaml",
		providertest.Build(t, example): example + "/conform.yaml",
	} {
		if out, err := exec.Command(kit, "--fixtures", fixtures, provider).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
