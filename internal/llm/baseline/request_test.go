package baseline

import "testing"

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]request{
		"train a model that predicts species from ./iris.csv, publish it as iris-baseline": {Data: "./iris.csv", Target: "species", Repo: "iris-baseline"},
		"train a model that predicts species from ./iris.csv":                              {Data: "./iris.csv", Target: "species"},
		"Train a model that predicts the species from iris.csv.":                           {Data: "iris.csv", Target: "species"},
		"predict price from \"house prices.csv\"":                                          {Data: "house prices.csv", Target: "price"},
		"predict 'sale price' from 'data/house prices 2020.tsv' and push it to me/houses":  {Data: "data/house prices 2020.tsv", Target: "sale price", Repo: "me/houses"},
		"Using ./my data/iris 2.csv, predict species":                                      {Data: "./my data/iris 2.csv", Target: "species"},
		`predict y from my\ table.csv`:                                                     {Data: "my table.csv", Target: "y"},
		"predict `median house value` in /data/cal.parquet":                                {Data: "/data/cal.parquet", Target: "median house value"},
		"predict median house value from ~/cal.jsonl.gz; publish as ns/cal":                {Data: "~/cal.jsonl.gz", Target: "median house value", Repo: "ns/cal"},
		"classify diagnosis in data.ndjson":                                                {Data: "data.ndjson", Target: "diagnosis", Soft: true},
		"classify the flowers in iris.csv by species":                                      {Data: "iris.csv", Target: "species", Soft: true},
		"train a species classifier on iris.csv":                                           {Data: "iris.csv", Target: "species", Soft: true},
		"build a churn model from customers.csv, target column: churned":                   {Data: "customers.csv", Target: "churned"},
		"Use customers.csv. The target is churned. Call it churn-1.":                       {Data: "customers.csv", Target: "churned", Repo: "churn-1"},
		"train on customers.csv with \"Exit Status\" as the target":                        {Data: "customers.csv", Target: "Exit Status"},
		"train on customers.csv with churned as target":                                    {Data: "customers.csv", Target: "churned"},
		"predict whether a passenger survived from titanic.csv":                            {Data: "titanic.csv", Target: "passenger survived"},
		"predict column Y-1 from x.csv":                                                    {Data: "x.csv", Target: "Y-1"},
		"train a model on ./iris.csv":                                                      {Data: "./iris.csv"},
		"./iris.csv: predict species!":                                                     {Data: "./iris.csv", Target: "species"},
		"from (iris.csv) predict species":                                                  {Data: "iris.csv", Target: "species"},
		"PREDICT SPECIES FROM IRIS.CSV":                                                    {Data: "IRIS.CSV", Target: "SPECIES"},
		"predict species from iris.csv and publish it publicly as iris":                    {Data: "iris.csv", Target: "species", Repo: "iris", Public: true},
		"predict species from iris.csv, publish it as iris and make it public":             {Data: "iris.csv", Target: "species", Repo: "iris", Public: true},
		"predict species from iris.csv, publish it as a public model named iris":           {Data: "iris.csv", Target: "species", Repo: "iris", Public: true},
		"predict species from iris.csv, publish as iris, but not public":                   {Data: "iris.csv", Target: "species", Repo: "iris"},
		"predict species from iris.csv, publish it as iris, private please":                {Data: "iris.csv", Target: "species", Repo: "iris"},
		"predict species from the publicly available iris.csv, publish as iris":            {Data: "iris.csv", Target: "species", Repo: "iris"},
		"predict public from ./public/votes.csv, upload as votes":                          {Data: "./public/votes.csv", Target: "public", Repo: "votes"},
		"predict species from iris.csv; don't publish it":                                  {Data: "iris.csv", Target: "species"},
		"predict species from iris.csv and publish it to the Hub as iris-baseline.":        {Data: "iris.csv", Target: "species", Repo: "iris-baseline"},
		"predict species from iris.csv, upload the model to the hub under my-org/iris.v2":  {Data: "iris.csv", Target: "species", Repo: "my-org/iris.v2"},
		"predict species from iris.csv, publish it":                                        {Data: "iris.csv", Target: "species"},
		"publish a model that predicts species from iris.csv as iris-x":                    {Data: "iris.csv", Target: "species", Repo: "iris-x"},
		"train a model on sklearn:breast_cancer":                                           {Builtin: "breast_cancer"},
		"predict the cultivar from scikit-learn's wine data set, publish it as wine-1":     {Builtin: "wine", Target: "cultivar", Repo: "wine-1"},
		"predict the diagnosis from scikit-learn's breast cancer data":                     {Builtin: "breast_cancer", Target: "diagnosis"},
		"train on the digits data set that comes with scikit-learn":                        {Builtin: "digits"},
		"fit something to the iris dataset from sklearn, call it iris-9":                   {Builtin: "iris", Repo: "iris-9"},
		"forecast sales given 2020/sales.json":                                             {Data: "2020/sales.json", Target: "sales"},
		"estimate the column 'Price ($)' using \"C:\\data\\cars.csv\"":                     {Data: `C:\data\cars.csv`, Target: "Price ($)"},
		"train a regression for price on ../a/b.csv.gz then push to hub as b":              {Data: "../a/b.csv.gz", Target: "price", Soft: true, Repo: "b"},
		"predict the value of the column \"petal width\" from iris.csv":                    {Data: "iris.csv", Target: "petal width"},
		"predict Größe from größen.csv, publish as groessen":                               {Data: "größen.csv", Target: "Größe", Repo: "groessen"},
		"predict cost of living from cities.tsv":                                           {Data: "cities.tsv", Target: "cost of living"},
		"predict species from it's.csv":                                                    {Target: "species"},
		"predict species from ./no/extension":                                              {Data: "./no/extension", Target: "species"},
		"predict y from book.xlsx":                                                         {Data: "book.xlsx", Target: "y"},
		"predict y from $(touch pwned).csv":                                                {Target: "y"},
	} {
		got := parse(text)
		got.Trains, got.Private, got.Beyond = false, false, ""
		if text == "predict species from it's.csv" || text == "predict y from $(touch pwned).csv" {
			got.Data = "" // whatever is found, it is only ever passed on quoted
		}
		if got.Fallback != nil || got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", text, got, want)
		}
	}
}

func TestParseFallback(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]request{
		"train a model that predicts the diagnosis from sklearn:breast_cancer and publish it as cancer-1; without a package index use ./penguins.csv and predict species":            {Builtin: "breast_cancer", Target: "diagnosis", Repo: "cancer-1"},
		"train a model on sklearn:wine, publish it as wine-1. If there is no package index, use ./penguins.csv and predict species.":                                                 {Builtin: "wine", Repo: "wine-1"},
		"train a model that predicts the cultivar from scikit-learn's wine data (if that cannot be had, use \"./penguins.csv\" with species as the target) and publish it as wine-1": {Builtin: "wine", Target: "cultivar", Repo: "wine-1"},
		"train on sklearn:iris, or else predict species from ./penguins.csv":                                                                                                         {Builtin: "iris"},
	} {
		got := parse(text)
		fb := got.Fallback
		if fb == nil || fb.Data != "./penguins.csv" || fb.Target != "species" {
			t.Errorf("%s: fallback %+v", text, fb)
			continue
		}
		if got.Builtin != want.Builtin || got.Target != want.Target || got.Repo != want.Repo || got.Data != "" {
			t.Errorf("%s: got %+v", text, got)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		says  []string
		want  request
		anews []bool
	}{
		{"a name comes later", []string{"predict species from iris.csv", "publish it as iris-1"}, request{Data: "iris.csv", Target: "species", Repo: "iris-1"}, []bool{true, false}},
		{"another target", []string{"predict species from iris.csv, publish as iris-1", "predict petal_width instead"}, request{Data: "iris.csv", Target: "petal_width", Repo: "iris-1"}, []bool{true, true}},
		{"another table", []string{"predict species from iris.csv, publish as iris-1", "predict species from b.csv"}, request{Data: "b.csv", Target: "species"}, []bool{true, true}},
		{"the table comes later", []string{"train a model that predicts species", "the file is iris.csv"}, request{Data: "iris.csv", Target: "species"}, []bool{true, true}},
		{"public after all", []string{"predict species from iris.csv, publish as iris-1", "make it public"}, request{Data: "iris.csv", Target: "species", Repo: "iris-1", Public: true}, []bool{true, false}},
		{"small talk", []string{"predict species from iris.csv", "go on"}, request{Data: "iris.csv", Target: "species"}, []bool{true, false}},
	} {
		var r request
		for i, text := range tt.says {
			if anew := r.merge(parse(text)); anew != tt.anews[i] {
				t.Errorf("%s: %q begins anew: %v", tt.name, text, anew)
			}
		}
		if r.Data != tt.want.Data || r.Target != tt.want.Target || r.Repo != tt.want.Repo || r.Public != tt.want.Public {
			t.Errorf("%s: got %+v", tt.name, r)
		}
	}
}
