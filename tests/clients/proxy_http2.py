"""HAProxy in front of the server, with HTTP/2 between them."""

from functools import partial

from checks import expect, require
from proxy import CLIENTS, Load, Proxy, body_too_large, both_ways, client_address

# The name of the proxy, which has the same configuration as for HTTP/1.1.
HAPROXY = partial(Proxy, "haproxy", protocol="proto h2")


def run(check, stage):
    with stage.server() as server:
        with HAPROXY(server) as proxy:
            both_ways(check, proxy, health_check=False)
            body_too_large(check, proxy)
            with check("the server exits cleanly while the proxy keeps connections to it"):
                server.expect_clean_end()
    few_connections(check, stage)
    idle(check, stage)
    with stage.server("--trusted-proxy", "127.0.0.1", "--forwarded-by", "forwarded") as \
            server, HAPROXY(server) as proxy:
        client_address(check, proxy, "/headers/", "http", " with Forwarded")
    for flags in [(), ("--drain-delay", "250ms"), ("--drain-idle", "0ms")]:
        drain(check, stage, flags)


def few_connections(check, stage):
    total = 800
    with stage.server() as server, HAPROXY(server) as proxy:
        with check(f"{total} requests of {CLIENTS} concurrent clients get their own responses"):
            load = Load(proxy, total)
            load.run()
            expect(dict(load.outcomes()), {"right": total}, "the outcomes")
        with check("the clients share connections to the server"):
            report = server.expect_clean_end()
            expect(report.answered, total, "requests answered")
            require(0 < report.accepted < CLIENTS, f"{report.accepted} connections")


def idle(check, stage):
    with stage.server("--idle-timeout", "200ms") as server, HAPROXY(server) as proxy:
        with check("the proxy notices a closed idle connection and opens another one"):
            connection = proxy.connection()
            for number in range(3):
                body = b"%d" % number
                response = connection.exchange("POST", body=body)
                expect((response.status, response.body), (200, body), "the response")
                server.wait_until_unconnected()
            connection.close()
            report = server.expect_clean_end()
            expect((report.accepted, report.answered), (3, 3), "connections and requests")


def drain(check, stage, flags):
    """Shuts down one of two servers under load."""
    total = 2000
    how = f" with {' '.join(flags)}" if flags else ""
    with stage.server(*flags) as leaving, stage.server() as staying:
        with HAPROXY(leaving, staying) as proxy:
            load = Load(proxy, total)
            load.at(total // 4, leaving.terminate)
            load.run()
            report, other = leaving.wait_for_end(), staying.stop()
        with check(f"a server that stops under load{how} exits cleanly"):
            leaving.expect_clean_end()
            require(report.answered > 0 and other.answered > total // 4,
                    f"only one of them has responded: {report}, {other}")
        with check(f"of {total} requests, half of them POST, none fails{how}"):
            expect(dict(load.outcomes()), {"right": total}, "the outcomes")
        with check("the servers sent every response once"):
            expect(report.answered + other.answered, total, "responses sent")
