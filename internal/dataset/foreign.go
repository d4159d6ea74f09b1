package dataset

import (
	"bytes"
	"fmt"
	"strings"
)

// foreign lists files people take for tables: how they begin, what they are,
// and how to make a table of them.
var foreign = []struct{ magic, what, hint string }{
	{"PK\x03\x04", "a zip archive", "Unzip it and name the table inside."},
	{"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "Save the sheet as CSV (UTF-8) and use that."},
	{"%PDF", "a PDF document", "Get the table as CSV; a PDF holds only its picture."},
	{"\x89PNG", "a PNG image", "Name a table, not a picture."},
	{"\xff\xd8\xff", "a JPEG image", "Name a table, not a picture."},
	{"GIF8", "a GIF image", "Name a table, not a picture."},
	{"RIFF", "an audio, video or WebP file", "Name a table instead."},
	{"BZh", "compressed with bzip2", "Decompress it with bunzip2 first."},
	{"\xfd7zXZ", "compressed with xz", "Decompress it with unxz first."},
	{"\x28\xb5\x2f\xfd", "compressed with zstd", "Decompress it with unzstd first."},
	{"7z\xbc\xaf", "a 7z archive", "Extract it and name the table inside."},
	{"Rar!", "a RAR archive", "Extract it and name the table inside."},
	{"SQLite format 3", "a SQLite database", `Export the table: sqlite3 -header -csv data.db "select * from t" > t.csv.`},
	{"\x93NUMPY", "a NumPy array (.npy)", "Save it as CSV: numpy.savetxt('t.csv', numpy.load('t.npy'), delimiter=',')."},
	{"\x89HDF", "an HDF5 file", "Export the table as CSV or Parquet, with pandas.read_hdf(...).to_parquet(...)."},
	{"ARROW1", "an Arrow (Feather) file", "Save it as Parquet: pandas.read_feather(...).to_parquet(...)."},
	{"ORC", "an ORC file", "Save it as Parquet: pandas.read_orc(...).to_parquet(...)."},
	{"Obj\x01", "an Avro file", "Convert it to Parquet or JSON lines first."},
	{"PARE", "an encrypted Parquet file", "Save a copy without encryption."},
	{"PAR1", "a Parquet file inside gzip", "Decompress it with gunzip first; Parquet is already compressed."},
	{"\x1f\x8b", "compressed twice with gzip", "Decompress it once with gunzip."},
	{"\x7fELF", "a program", "Name a table instead."},
	{"\xff\xfe\x00\x00", "text in UTF-32", "Save it as UTF-8."},
	{"\x80\x02", "a Python pickle", pickleHint},
	{"\x80\x03", "a Python pickle", pickleHint},
	{"\x80\x04", "a Python pickle", pickleHint},
	{"\x80\x05", "a Python pickle", pickleHint},
	{"RDX", "an R data file", "Write it as CSV from R: write.csv(x, \"x.csv\", row.names = FALSE)."},
}

const pickleHint = "Pickles can run code and are not opened; save the frame with to_parquet or to_csv."

// refuseForeign returns an error for what is known not to be a table.
func refuseForeign(head []byte, name string) error {
	what, hint := "", ""
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			what, hint = f.what, f.hint
			break
		}
	}
	switch {
	case what == "a zip archive" && isWorkbook(head, name):
		what, hint = "an Excel workbook (.xlsx)", "Save the sheet as CSV (UTF-8) and use that."
	case len(head) > 262 && string(head[257:262]) == "ustar":
		what, hint = "a tar archive", "Extract it and name the table inside."
	}
	if what == "" {
		return nil
	}
	return &Error{CodeUnsupportedFormat, fmt.Sprintf("%s is %s, which cannot be read as a table.", name, what), hint}
}

func isWorkbook(head []byte, name string) bool {
	return bytes.Contains(head, []byte("xl/")) || bytes.Contains(head, []byte("[Content_Types].xml")) ||
		strings.HasSuffix(strings.ToLower(name), ".xlsx")
}

// refuseForeignText returns an error for text that is not a table.
func refuseForeignText(text []byte) error {
	lower := bytes.ToLower(text[:min(len(text), 512)])
	refuse := func(what, hint string) error {
		return &Error{CodeUnsupportedFormat, "the file is " + what + ", which cannot be read as a table.", hint}
	}
	switch {
	case bytes.HasPrefix(lower, []byte("version https://git-lfs")):
		return refuse("a Git LFS pointer, not the data", "Fetch the data with: git lfs pull.")
	case bytes.HasPrefix(lower, []byte("<!doctype html")), bytes.HasPrefix(lower, []byte("<html")):
		return refuse("a web page", "The download probably gave an error or login page; fetch the raw file.")
	case bytes.HasPrefix(lower, []byte("<?xml")), bytes.HasPrefix(lower, []byte("<")) && bytes.Contains(lower, []byte("</")):
		return refuse("XML", "Convert it to CSV, for example with pandas.read_xml(...).to_csv(...).")
	case bytes.HasPrefix(lower, []byte("@relation")):
		return refuse("a Weka ARFF file", "Convert it to CSV: scipy.io.arff.loadarff reads it.")
	case bytes.HasPrefix(text, []byte(`{\rtf`)):
		return refuse("a rich text document", "Save it as plain text.")
	}
	return nil
}
