"""What the fakes of AWS's Query services have in common: a form in, XML out."""

import urllib.parse

from fake_http import Answer, Part, request_id


class QueryPart(Part):
    """A service of one API version; a subclass has its actions."""

    prefix = ""     # of action names in the statistics: "sts"
    version = ""    # "2011-06-15"
    namespace = ""  # of its XML

    def claims(self, request):
        return request.method == "POST" and f"Version={self.version}".encode() in request.body

    @staticmethod
    def form(request):
        return dict(urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True))

    def action(self, request):
        return f"{self.prefix}." + self.form(request).get("Action", "")

    def result(self, name, result=""):
        inner = f"<{name}Result>\n{result}  </{name}Result>" if result else f"<{name}Result/>"
        return self._xml(200, f'<{name}Response xmlns="{self.namespace}">\n  {inner}\n'
                         f"  <ResponseMetadata>\n    <RequestId>{request_id()}</RequestId>\n"
                         f"  </ResponseMetadata>\n</{name}Response>\n")

    def error(self, status, code, message):
        fault = "Receiver" if status >= 500 else "Sender"
        return self._xml(status, f'<ErrorResponse xmlns="{self.namespace}">\n  <Error>\n'
                         f"    <Type>{fault}</Type>\n    <Code>{code}</Code>\n"
                         f"    <Message>{message}</Message>\n  </Error>\n"
                         f"  <RequestId>{request_id()}</RequestId>\n</ErrorResponse>\n", code)

    @staticmethod
    def _xml(status, text, code=""):
        return Answer(status, text.encode(), "text/xml", {"x-amzn-RequestId": request_id()}, code)
