// A provider for Rectify: lines that a file has, and notes that are appended once.
package main

import (
	"strings"

	rectify "rectify/provider"
)

// Lines is a set of lines that a file has, or lacks. Its other lines stay as they are.
type Lines struct {
	Path  string   `json:"path" rectify:"identity,touch=path" pattern:"^/" doc:"Absolute path of the file. It is made if it does not exist."`
	Lines []string `json:"lines" rectify:"set,input" min:"1" doc:"The lines. Those that are missing are added at the end."`
	State string   `json:"state" rectify:"input" enum:"present,absent" default:"present" doc:"Whether the file has the lines."`
	Text  string   `json:"text" rectify:"planned"`
}

// textMax is how much of a file stands in a plan, in bytes.
const textMax = 64 * 1024

type lines struct{}

// Read says what is there. Its text is all that an undo needs.
func (lines) Read(cx *rectify.Cx, id Lines) (*Lines, error) {
	file, err := cx.ReadFile(id.Path)
	if file == nil || err != nil {
		return nil, err
	}
	if file.Private {
		return nil, rectify.Errorf(rectify.CodeUnsupported, "others may not read the file, so it must not be in a plan").At("/path")
	}
	if len(file.Content) > textMax {
		return nil, rectify.Errorf(rectify.CodeUnsupported, "the file is longer than %d bytes", textMax).At("/path")
	}
	id.Text = string(file.Content)
	return &id, nil
}

// Validate has the rule that a schema cannot say well.
func (lines) Validate(cx *rectify.Cx, want Lines) error {
	for _, line := range want.Lines {
		if strings.ContainsAny(line, "\r\n") {
			return rectify.Errorf(rectify.CodeSchema, "a line has no line end in it").At("/lines")
		}
	}
	return nil
}

// Plan says what the text will be. The SDK asks again before it lets Apply write.
func (lines) Plan(cx *rectify.Cx, p *rectify.Planning[Lines]) error {
	if p.Restoring {
		return nil
	}
	text := ""
	if p.Found != nil {
		text = p.Found.Text
	}
	if p.Desired.State == "absent" {
		if p.Found == nil {
			p.Planned = nil
			return nil
		}
		p.Planned.Text = remove(text, p.Desired.Lines)
		return nil
	}
	p.Planned.Text = add(text, p.Desired.Lines)
	return nil
}

// Apply brings about what was planned; nil: the file should not exist, as before it was made.
func (lines) Apply(cx *rectify.Cx, s *rectify.Step[Lines]) (rectify.Applied[Lines], error) {
	return s.Write(func(found, want *Lines) error {
		if want == nil {
			return cx.Remove(s.ID.Path)
		}
		return cx.WriteFile(s.ID.Path, []byte(want.Text), 0o644)
	})
}

func add(text string, wanted []string) string {
	there := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		there[line] = true
	}
	for _, line := range wanted {
		if there[line] {
			continue
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		text += line + "\n"
	}
	return text
}

func remove(text string, unwanted []string) string {
	gone := map[string]bool{}
	for _, line := range unwanted {
		gone[line] = true
	}
	kept := ""
	for _, line := range strings.SplitAfter(text, "\n") {
		if line != "" && !gone[strings.TrimSuffix(line, "\n")] {
			kept += line
		}
	}
	return kept
}

// Note is a line that is appended to a file, once.
type Note struct {
	Path string   `json:"path" rectify:"identity,touch=path" pattern:"^/" doc:"Absolute path of the file."`
	Text string   `json:"text" pattern:"^[^\\r\\n]*$" max:"1000" doc:"The line."`
	Tell []string `json:"tell,omitempty" doc:"A command that is told, too: it gets the line as its standard input."`
}

type notes struct{}

// Run appends. Looking would not tell whether it was this operation that did, so the ledger does.
func (notes) Run(cx *rectify.Cx, p Note) (*rectify.Output, error) {
	line := p.Text + "\n"
	if err := cx.AppendFile(p.Path, []byte(line), 0o644); err != nil || len(p.Tell) == 0 {
		return nil, err
	}
	done, err := cx.Run(rectify.Command{Argv: p.Tell, Stdin: line})
	if err != nil {
		return nil, err
	}
	return &done.Output, done.Err()
}

func main() {
	rectify.Serve("lines", "0.1.0",
		rectify.Type[Lines]("lines.file", 1, lines{}, rectify.Summary("A file has these lines, or lacks them.")),
		rectify.Do[Note]("lines.note", 1, notes{}, rectify.Summary("Appends a line to a file, once.")),
	)
}
