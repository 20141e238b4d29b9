# outflow. The two commands that matter: make run, make test.
# The same flags everywhere, so that nothing is compiled twice. Programs are linked without
# what debuggers need (-s -w), so it is not made either: a tenth of the compilers' time.
export CGO_ENABLED = 0
export GOFLAGS = -trimpath -gcflags=all=-dwarf=false
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
DAY = 2026-11-20
VENV = bench/venv
SCALE = 1

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: bin/outflow fixtures/data/.made ## run the nightly job on the fixtures and print where the report is
	bin/outflow run nightly --config fixtures/outflow.yaml --day $(DAY)

# Needs Chromium.
PICTURES = bench/pictures
pictures: run ## take the pictures of the README and the manual from the page of the sample night
	test -x $(PICTURES)/bin/python || python3 -m venv $(PICTURES)
	$(PICTURES)/bin/pip install -q playwright pillow
	$(PICTURES)/bin/python fixtures/pictures.py out/nightly/$(DAY)/report.html .

test: ## run the tests
	go test -timeout 20m ./...

lint: ## format, vet and staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

check: lint ## all that a commit must pass: lint, tidy, docs, tests with -race
	go mod tidy -diff
	$(MAKE) -s docs && git diff --exit-code README.md docs
	CGO_ENABLED=1 go test -race -timeout 90m ./...

docs: bin/outflow ## write the generated tables of the README and the manual
	bin/outflow docs README.md docs/*.md
	go test ./jobs -run '^TestDecisions$$' -update

fixtures: fixtures/data/.made ## make the sample logs

traindata: traindata/real.tsv.gz traindata/own.tsv.gz traindata/benign.tsv.gz ## make the traffic that the DNS model learns from; real tunnels need root and 40 minutes

# Not again when only the code changed: real tunnels are never the same twice.
traindata/real.tsv.gz:
	python3 fixtures/tunnels/lab.py traindata

traindata/own.tsv.gz: $(wildcard fixtures/tunnels/*.py)
	@mkdir -p $(@D)
	python3 fixtures/tunnels/encoders.py $@

traindata/benign.tsv.gz: $(wildcard fixtures/tunnels/*.py)
	@mkdir -p $(@D)
	python3 fixtures/tunnels/benign.py $@

# Without a limit, most of the time goes into making inputs smaller.
FUZZTIME = 60s
fuzz: ## fuzz every decoder, the assembly and the rules, FUZZTIME=60s each
	@grep -rHo '^func Fuzz[A-Za-z]*' --include='*_test.go' columnar stats | while IFS=: read -r file fuzz; do \
		echo "$$file: $${fuzz#func }"; \
		go test "./$$(dirname "$$file")" -run '^$$' -fuzz "^$${fuzz#func }$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x || exit 1; done

oracle: $(VENV)/.made ## compute the seeds' rules anew with pandas, and compare
	$(VENV)/bin/python fixtures/oracle/oracle.py fixtures/oracle
	git diff --exit-code fixtures/oracle
	go test ./stats/detect ./jobs -run Oracle -count=1

# The alert budget has this many employees and nights.
BUDGET = 10000x60
sim: ## measure on generated organisations what the detections find and what they take for a theft; takes an hour, BUDGET=2000x60 half
	@mkdir -p bin
	@go test -c -o bin/simulation.test ./stats/detect
	@cd stats/detect && OUTFLOW_LONG=1 OUTFLOW_BUDGET=$(BUDGET) ../../bin/simulation.test -test.run '^TestSimulation$$'

killtest: ## kill runs at each of their writes, renames and deletes, on disk and on S3; takes half an hour
	OUTFLOW_LONG=1 go test ./jobs -run '^TestKilled$$' -count=1 -v -timeout 4h

monthtest: ## run a month whose logs come late and twice, and compare it with a clean one; takes two minutes
	OUTFLOW_LONG=1 go test ./jobs -run '^TestMonth$$' -count=1 -v -timeout 1h

overlaptest: ## run each pair of jobs at the same time, 50 times; takes ten minutes
	OUTFLOW_LONG=1 go test ./jobs -run '^TestOverlap$$' -count=1 -v -timeout 4h

# A real S3 server, for tests alone.
S3_SERVER = github.com/versity/versitygw/cmd/versitygw@v1.8.0
OBJECTS = 100000
faulttest: ## run nights on a real S3 server whose answers are refused, cut, lost and falsified, and one of OBJECTS=100000 objects; takes half an hour
	GOBIN=$(CURDIR)/bin go install $(S3_SERVER)
	OUTFLOW_LONG=1 OUTFLOW_S3_SERVER=$(CURDIR)/bin/versitygw OUTFLOW_OBJECTS=$(OBJECTS) go test ./jobs -run '^(TestFaults|TestManyObjects|TestNextNight)$$' -count=1 -v -timeout 4h

# pyspark brings the whole engine, 494 MB; it needs Java 17.
SPARK = bench/spark
spark-test: bin/outflow fixtures/data/.made ## run nights on Spark clusters on this machine, on a real S3 server, with executors killed and tasks that fail; takes half an hour
	GOBIN=$(CURDIR)/bin go install $(S3_SERVER)
	test -x $(SPARK)/venv/bin/python || python3 -m venv $(SPARK)/venv
	$(SPARK)/venv/bin/pip install -q pyspark==4.0.0 duckdb==2.0.0
	$(SPARK)/venv/bin/python fixtures/spark/spark_test.py bin/outflow bin/versitygw $(ARGS)

# The tables take a second to make, and pyiceberg twenty packages that nothing else wants.
ICEBERG = bench/iceberg
iceberg: ## compare how Iceberg tables are read with pyiceberg
	test -x $(ICEBERG)/venv/bin/python || python3 -m venv $(ICEBERG)/venv
	$(ICEBERG)/venv/bin/pip install -q 'pyiceberg[pyarrow,sql-sqlite,pyiceberg-core]==0.12.0'
	$(ICEBERG)/venv/bin/python fixtures/oracle/iceberg.py $(ICEBERG)/tables
	OUTFLOW_ICEBERG_ORACLE=$(CURDIR)/$(ICEBERG)/tables go test ./jobs -run OracleIceberg -count=1

# THIRD holds the third-party data of the model's card, TRAFFIC made and captured
# traffic; neither is part of the repository.
THIRD = data
TRAFFIC = traindata
train: ## train the DNS model anew: the same data gives the same bytes; THIRD=folder TRAFFIC=folder
	go run ./stats/dnsmodel/train -data '$(THIRD)' -traffic '$(TRAFFIC)'

evaluate: ## train it, judge it, and write the tables of its card
	go run ./stats/dnsmodel/train -data '$(THIRD)' -traffic '$(TRAFFIC)' -evaluate

parity: $(VENV)/.made ## hold the DNS model's Go code to NumPy, on the inputs of its test
	cut -f 1 stats/dnsmodel/testdata/parity.tsv | $(VENV)/bin/python stats/dnsmodel/train/parity.py stats/dnsmodel/model.bin > $(VENV)/parity.tsv
	mv $(VENV)/parity.tsv stats/dnsmodel/testdata/parity.tsv
	go test ./stats/dnsmodel -run Parity -count=1

bench: bin/outflow $(VENV)/.made ## make the same tables as DuckDB, ClickHouse and polars, side by side; SCALE=0.1 for a tenth of 23 GB of logs
	$(VENV)/bin/python fixtures/bench/bench.py --scale $(SCALE) --markdown bench/tables.md $(ARGS)

bench-sources: $(VENV)/.made ## decode all columns of vendors' logs, against DuckDB; SOURCES="--records 100000 elb"
	go build -o bin/decode ./fixtures/bench/decode
	$(VENV)/bin/python fixtures/bench/sources.py $(SOURCES)

profile: bin/outflow $(VENV)/.made ## where the time and the memory go, on W1 and W3 of bench
	$(VENV)/bin/python fixtures/bench/profiles.py $(ARGS)

# GOGC is the compilers': they take .8 GB instead of .6 at most, and a sixth less time.
bin/outflow: $(shell find . -name '*.go' -not -path './fixtures/*' -not -path './deploy/*') $(shell find columnar reports jobs stats -type f -not -name '*.go') go.mod go.sum
	GOGC=400 go build -ldflags '-s -w' -o $@ ./jobs/outflow

deploytest: ## hold the files of deploy to Kubernetes, kustomize, Helm, systemd and outflow itself
	cd deploy/deploytest && go vet . && go test . -count=1

# The archives are the same bytes wherever and whenever a commit is built. timetzdata: Windows and
# the image have no time zones of their own. Needs GNU tar.
SBOM = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
PLATFORMS = linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64
dist: ## build the archives of a release for all platforms, with checksums and SBOMs, in dist
	rm -rf dist
	@set -e; for p in $(PLATFORMS); do \
		os=$${p%-*}; arch=$${p#*-}; exe=outflow; [ $$os != windows ] || exe=outflow.exe; \
		GOOS=$$os GOARCH=$$arch go build -tags timetzdata -ldflags '-s -w' -o dist/$$p/$$exe ./jobs/outflow; \
		cp LICENSE README.md dist/$$p/; chmod 755 dist/$$p dist/$$p/$$exe; chmod 644 dist/$$p/LICENSE dist/$$p/README.md; \
		tar -C dist/$$p --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - $$exe LICENSE README.md | gzip -9n > dist/outflow-$$p.tar.gz; \
		go run $(SBOM) bin -json -std -noserial -notimestamp -output dist/outflow-$$p.cdx.json dist/$$p/$$exe 2> dist/sbom.log || { cat dist/sbom.log; exit 1; }; \
		rm dist/sbom.log; \
	done
	cd dist && sha256sum outflow-* > SHA256SUMS && ls -l outflow-*

# A builder is there if it can list its images: docker without its daemon cannot.
BUILDER = $(firstword $(foreach b,docker podman buildah,$(if $(shell $(b) images -q >/dev/null 2>&1 && echo yes),$(b))))
IMAGE = outflow
ARCHS = amd64 arm64
CA_CERTIFICATES = /etc/ssl/certs/ca-certificates.crt
VERSION = $(shell dist/linux-amd64/outflow version | cut -d' ' -f2)
image: dist ## build the container images, for amd64 and arm64
	@set -e; for a in $(ARCHS); do \
		root=dist/root-$$a; mkdir -p $$root/etc/ssl/certs $$root/usr/local/bin $$root/tmp; chmod 1777 $$root/tmp; \
		cp $(CA_CERTIFICATES) $$root/etc/ssl/certs/ca-certificates.crt; cp dist/linux-$$a/outflow $$root/usr/local/bin/; \
	done
	@test -n "$(BUILDER)" || { echo "no builder: install docker, podman or buildah; what belongs into the image is in dist/root-*"; exit 1; }
	@set -e; for a in $(ARCHS); do \
		$(BUILDER) build --platform linux/$$a --build-arg TARGETARCH=$$a --build-arg VERSION=$(VERSION) -t $(IMAGE):$(VERSION)-$$a .; \
	done

fixtures/data/.made: $(wildcard fixtures/gen/*.go)
	rm -rf fixtures/data
	go run ./fixtures/gen -out fixtures/data
	touch $@

$(VENV)/.made: fixtures/bench/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q -r $<
	touch $@

clean: ## remove what was made
	rm -rf bin dist out state fixtures/data bench traindata

.PHONY: help run pictures test lint check docs fixtures traindata fuzz oracle sim killtest monthtest overlaptest faulttest spark-test iceberg train evaluate parity bench bench-sources profile deploytest dist image clean
