package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// readers are calls whose argument is a file that must be there.
var readers = []string{
	"open", "read_csv", "read_parquet", "read_json", "read_excel", "read_table", "read_pickle", "read_feather", "load_from_disk", "load_dataset", "from_pretrained",
	"from_json", "from_csv", "from_parquet", "from_file", "load_file", "load", "loadtxt", "genfromtxt", "read_text", "read_bytes", "imread", "listdir", "safe_load", "load_adapter", "scan_parquet", "scan_csv",
}

// outputKeys are arguments that name what is written.
var outputKeys = []string{"output_dir", "logging_dir", "save_directory", "path_or_buf", "local_dir", "cache_dir", "run_name", "project", "repo_id", "hub_model_id", "dirpath", "default_root_dir"}

// paths finds files that will not be where the job runs.
func (c *check) paths() {
	for _, k := range c.facts.Calls {
		if k.Guarded || k.Maybe || !slices.Contains(readers, k.last()) || k.last() == "open" && writesFile(k) {
			continue
		}
		for _, p := range fileArguments(k) {
			c.file(p, k)
		}
	}
	c.absolutePaths()
	c.argumentPaths()
	c.inputPaths()
}

// writesFile reports whether open is for writing.
func writesFile(k call) bool {
	return strings.ContainsAny(k.arg(1, "mode").text(), "wax+")
}

// fileArguments are the paths that a call reads.
func fileArguments(k call) []string {
	var found []string
	if len(k.Args) > 0 && k.last() != "load_dataset" {
		found = append(found, leaves(k.Args[0])...)
	}
	for name, v := range k.Kw {
		if slices.Contains([]string{"data_files", "filepath_or_buffer", "filepath", "file", "filename", "fname", "dataset_path"}, name) {
			found = append(found, leaves(v)...)
		}
	}
	if k.last() == "load_dataset" && len(k.Args) > 0 && isPath(k.Args[0].text()) {
		found = append(found, k.Args[0].text())
	}
	if k.Recv != nil && (k.last() == "open" || k.last() == "read_text" || k.last() == "read_bytes") {
		found = leaves(*k.Recv) // of a Path
	}
	return found
}

// leaves are the texts in a value.
func leaves(v value) []string {
	switch v.Kind {
	case "const", "path":
		if v.text() != "" {
			return []string{v.text()}
		}
	case "list":
		var all []string
		for _, i := range v.Items {
			all = append(all, leaves(i)...)
		}
		return all
	case "dict":
		var all []string
		for _, key := range slices.Sorted(maps.Keys(v.Entries)) {
			all = append(all, leaves(v.Entries[key])...)
		}
		return all
	}
	return nil
}

// isPath reports whether a text is meant as one and not as a repository.
func isPath(text string) bool {
	return strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "~/")
}

// file checks a file that is read by a relative path.
func (c *check) file(name string, k call) {
	clean := path.Clean(name)
	if strings.Contains(name, "://") || !fs.ValidPath(clean) || strings.ContainsAny(name, "*?[\n{") || c.facts.Flags.Chdir || c.makes(name) {
		return
	}
	_, err := fs.Stat(c.Files, clean)
	model := k.last() == "from_pretrained" || k.last() == "load_dataset" && !isPath(name) && len(k.Args) > 0 && name == k.Args[0].text()
	switch {
	case err == nil && c.Remote && !c.isInput(clean):
		c.fail(Finding{Code: CodePath, Line: k.Line, Text: fmt.Sprintf("%s is a file of the workspace, and the job does not have it", name), Fix: "put it on the Hub and read it from there, or name it as an input"})
	case err != nil && !model && path.Ext(clean) != "":
		c.warn(Finding{Code: CodePath, Line: k.Line, Text: fmt.Sprintf("there is no file %s in the workspace, and the script does not make it", name), Fix: "correct the path, or make the file first"})
	}
}

// makes reports whether the script names the path elsewhere too, as one does
// that writes it first.
func (c *check) makes(name string) bool {
	base := path.Base(name)
	n := 0
	for _, t := range c.facts.Texts {
		if path.Base(t.Text) == base || strings.HasSuffix(t.Text, base) {
			n++
		}
	}
	for _, k := range c.facts.Calls {
		if slices.Contains([]string{"hf_hub_download", "snapshot_download", "urlretrieve", "extractall", "download", "check_call", "check_output", "Popen", "call", "unpack_archive", "system", "mkdir", "makedirs", "run", "wget"}, k.last()) {
			return true
		}
	}
	return n > 1
}

// isInput reports whether the job gets the path, or the folder that it is in.
func (c *check) isInput(name string) bool {
	for _, in := range c.Spec.Inputs {
		in = path.Clean(filepath.ToSlash(in))
		if in == name || in == "." || strings.HasPrefix(name, in+"/") || in == name+".py" || strings.HasPrefix(in, name+"/") {
			return true
		}
	}
	return false
}

// personal are absolute paths that are someone's own machine.
var personal = lazyregexp.New(`^(/home/|/Users/|~/|[A-Za-z]:[\\/])`)

// absolutePaths finds paths of this machine in calls of a job elsewhere.
func (c *check) absolutePaths() {
	if !c.Remote {
		return
	}
	for _, k := range c.facts.Calls {
		if k.Guarded || k.Maybe {
			continue
		}
		for name, v := range arguments(k) {
			for _, text := range leaves(v) {
				here := strings.HasPrefix(text, strings.TrimSuffix(filepath.ToSlash(c.Spec.Dir), "/")+"/")
				if here || c.Offer.Ephemeral && personal.MatchString(text) && !slices.Contains(outputKeys, name) && !strings.HasPrefix(text, "~/.cache") && k.last() != "print" {
					c.fail(Finding{Code: CodePath, Line: k.Line, Text: fmt.Sprintf("%s is a path of this machine, and the job runs elsewhere", text), Fix: "read it from the Hub, or name it as an input and use a path relative to the workspace"})
				}
			}
		}
	}
}

// arguments are all that a call is given; those by place have no name.
func arguments(k call) map[string]value {
	all := maps.Clone(k.Kw)
	if all == nil {
		all = map[string]value{}
	}
	for i, v := range k.Args {
		all[fmt.Sprint(i)] = v
	}
	return all
}

// inputPaths checks that what the job is to read is there to be sent.
func (c *check) inputPaths() {
	for _, in := range c.Spec.Inputs {
		clean := path.Clean(filepath.ToSlash(in))
		if strings.Contains(in, "://") || !fs.ValidPath(clean) {
			continue // the Hub's, or for the backend to judge
		}
		if _, err := fs.Stat(c.Files, clean); errors.Is(err, fs.ErrNotExist) {
			c.fail(Finding{Code: CodePath, Text: fmt.Sprintf("there is no input %s in the workspace", in), Fix: "correct the path, or make the file first"})
		}
	}
}

// argumentPaths checks the files that the job's own arguments name.
func (c *check) argumentPaths() {
	if !c.Remote {
		return
	}
	for _, arg := range c.args {
		if _, tail, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "-") {
			arg = tail
		}
		if strings.HasPrefix(arg, strings.TrimSuffix(filepath.ToSlash(c.Spec.Dir), "/")+"/") || c.Offer.Ephemeral && personal.MatchString(arg) {
			c.fail(Finding{Code: CodePath, Text: fmt.Sprintf("the argument %s is a path of this machine, and the job runs elsewhere", arg), Fix: "give it what the job can read"})
			continue
		}
		clean := path.Clean(arg)
		if !fs.ValidPath(clean) || clean == "." {
			continue
		}
		if info, err := fs.Stat(c.Files, clean); err == nil && info.Mode().IsRegular() && !c.isInput(clean) {
			c.fail(Finding{Code: CodePath, Text: fmt.Sprintf("the argument %s is a file of the workspace, and the job does not have it", arg), Fix: "name it as an input, or put it on the Hub"})
		}
	}
}
