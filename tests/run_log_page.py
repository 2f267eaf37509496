"""The examples of the run-log call, letter by letter as the page that it comes from has them.

Source: the page "Get campaign log" of Altcraft's API documentation, version 72.
"""

from __future__ import annotations

#: The token of the page's examples.
TOKEN = "abcdefghijklmnqrstuvwxyz"

JSON_REQUEST = """{
"token": "abcdefghijklmnqrstuvwxyz",
"id": 1,
"limit": 2
}"""
XML_REQUEST = """<xml>
<token>abcdefghijklmnqrstuvwxyz</token>
<id>1</id>
<limit>2</limit>
</xml>"""
JSON_ANSWER = """{
"data": [
{
"level": "INFO",
"message": "Campaign finished",
"time": "2024-04-02T17:57:01.504Z",
"state": "end",
"value": ""
},
{
"level": "INFO",
"message": "Total time spent",
"time": "2024-04-02T17:57:01.505Z",
"state": "",
"value": "138.351985ms"
}
],
"error": 0,
"error_text": "Successful operation",
"total_count": 140
}"""
XML_ANSWER = """<xml>
<data>
<level>"INFO"</level>
<message>"Campaign finished"</message>
<state>"end"</state>
<time>"2024-05-28T16:40:59.207Z"</time>
<value>""</value>
</data>
<data>
<level>"INFO"</level>
<message>"Total time spent"</message>
<state>""</state>
<time>"2024-05-28T16:40:59.208Z"</time>
<value>"351.155547ms"</value>
</data>
<error>0</error>
<error_text>Successful operation</error_text>
<total_count>9</total_count>
</xml>"""
