# The whole machine by one word each: docs/local.md. Variables: PORT, FRESH, ARGS, ORDERS,
# DATABASE_URL, REDIS_URL, on the command line or in the environment.
.DEFAULT_GOAL := help
.PHONY: help demo stop logs round scale-demo scale-stop load test check bench chaos

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: ## Bring the whole site up with its trade, play the day, verify it (PORT=8000, FRESH=1)
stop: ## End everything that make demo and make scale-demo started
logs: ## Follow the demo's logs
round: ## Play one more round of the day against the running demo (ORDERS=200)

scale-demo: ## The same as many machines would run it, killed and restarted meanwhile (ORDERS=200, PORT, FRESH=1)
scale-stop: ## End what make scale-demo started
load: ## A trading day of 10,000 orders against the running site, and its knee (ARGS="--orders 500 --factor 60")
test: ## Run the tests on servers of their own (ARGS="-k credit -x")
check: ## Run every check but the tests: lint, format, types, layers, migrations, deployment

bench: ## Measure each target beside its reference, on servers of its own (ARGS="--only 1,4")
chaos: ## Kill, freeze and empty everything under load, and see that all holds (ARGS="--seconds 3600")

demo stop logs round scale-demo scale-stop load test check bench chaos:
	@sh deploy/local/bootstrap.sh $@
